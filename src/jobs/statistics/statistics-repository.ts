import { addAll, type Histogram } from './histogram.js';

/** What became of the jobs of one type, over some time. */
export interface TypeStatistics {
  queue: string;
  type: string;
  /** Accepted. */
  submitted: number;
  /** Jobs that ended so in the hands of a worker. */
  completed: number;
  failed: number;
  /** Attempts that failed with another to follow. */
  retried: number;
  /** Claims whose work is over, however it ended, and how long all of them together took up a worker (ms). */
  deliveries: number;
  slotMs: number;
  /** Of each attempt: from the moment it was due to its start. */
  wait: Histogram;
  /** Of each attempt that settled: how long its handler ran. */
  run: Histogram;
}

export interface Activity extends TypeStatistics {
  tenant: string;
}

/** How long a job takes up a worker, from its claim to its settlement; of every tenant's jobs. */
export type Pace = Pick<TypeStatistics, 'deliveries' | 'slotMs'>;

/** Statistics of jobs, kept a minute at a time. Calls throw RecordUnavailable when the database does not answer. */
export abstract class StatisticsRepository {
  /** Adds to the minute that it is by the database's clock. */
  abstract add(activity: readonly Activity[]): Promise<void>;

  /**
   * Sums over the last `minutes` and what has passed of the current one, by queue and type.
   * @returns also how much time that is, in seconds
   */
  abstract read(tenant: string, minutes: number): Promise<{ seconds: number; types: TypeStatistics[] }>;

  /** Of one queue, over the last `minutes`. */
  abstract pace(queue: string, minutes: number): Promise<Pace>;

  /** Deletes what is older. @returns how many rows are gone */
  abstract prune(minutes: number): Promise<number>;
}

export function mergeStatistics(into: TypeStatistics, more: TypeStatistics): void {
  for (const kind of ['submitted', 'completed', 'failed', 'retried', 'deliveries', 'slotMs'] as const)
    into[kind] += more[kind];
  addAll(into.wait, more.wait);
  addAll(into.run, more.run);
}
