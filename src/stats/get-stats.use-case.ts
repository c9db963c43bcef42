import { Injectable } from '@nestjs/common';
import type { DriftCounts } from '../jobs/delivery/drift.js';
import { JobRepository, type LiveCounts } from '../jobs/job-repository.js';
import { StatisticsRepository, type TypeStatistics } from '../jobs/statistics/statistics-repository.js';

/** Callers within this time (ms) share one count. */
const SHARED_FOR = 1_000;

export interface GetStatsInput {
  tenant: string;
  /** Of the kept statistics: so many, and what has passed of the current one. */
  minutes: number;
}

export interface Stats {
  /** When it was counted. */
  at: Date;
  queues: LiveCounts[];
  drift: DriftCounts;
  /** What the statistics of types cover. */
  seconds: number;
  types: TypeStatistics[];
}

/** Counts the live jobs of a tenant, what became of those before, and how often queue and record were found to differ. */
@Injectable()
export class GetStatsUseCase {
  readonly #latest = new Map<string, { until: number; stats: Promise<Stats> }>();

  constructor(
    private readonly jobs: JobRepository,
    private readonly statistics: StatisticsRepository,
  ) {}

  execute({ tenant, minutes }: GetStatsInput): Promise<Stats> {
    const question = JSON.stringify([tenant, minutes]);
    const known = this.#latest.get(question);
    if (known && known.until > performance.now()) return known.stats;

    this.forgetOld();
    const stats = this.count(tenant, minutes);
    this.#latest.set(question, { until: performance.now() + SHARED_FOR, stats });
    stats.catch(() => this.#latest.delete(question));
    return stats;
  }

  private async count(tenant: string, minutes: number): Promise<Stats> {
    const [queues, drift, { seconds, types }] = await Promise.all([
      this.jobs.countLive(tenant),
      this.jobs.drift(),
      this.statistics.read(tenant, minutes),
    ]);
    return { at: new Date(), queues, drift, seconds, types };
  }

  private forgetOld(): void {
    const now = performance.now();
    for (const [question, { until }] of this.#latest) if (until <= now) this.#latest.delete(question);
  }
}
