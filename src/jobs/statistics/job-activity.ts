import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Repeater } from '../delivery/repeater.js';
import type { Claim, Settlement } from '../job-repository.js';
import type { Job } from '../job.js';
import { count } from './histogram.js';
import { mergeStatistics, StatisticsRepository, type Activity } from './statistics-repository.js';

/** Statistics are kept for so long, in minutes. */
export const KEPT_MINUTES = 24 * 60;

const SAVE_INTERVAL = 2_000;
const PRUNE_INTERVAL = 60_000;

type Counted = Pick<Job, 'tenant' | 'queue' | 'type'>;

/**
 * Counts what this process does with jobs, and adds it to the kept statistics every two seconds. To count costs no
 * statement; a process that is killed takes its last two seconds of statistics with it, and never a job.
 */
@Injectable()
export class JobActivity implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Statistics');
  readonly #saving = new Repeater(() => this.save(), SAVE_INTERVAL);
  readonly #pruning = new Repeater(() => this.prune(), PRUNE_INTERVAL);
  #counted = new Map<string, Activity>();
  /** Most jobs are of the same sort as the one before. */
  #latest?: Activity;

  constructor(private readonly statistics: StatisticsRepository) {}

  onApplicationBootstrap(): void {
    this.#saving.start();
    this.#pruning.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.#saving.stop(), this.#pruning.stop()]);
    await this.save();
  }

  submitted(jobs: readonly Counted[]): void {
    for (const job of jobs) this.of(job).submitted++;
  }

  /** A claim was granted. */
  started(claim: Claim): void {
    count(this.of(claim).wait, claim.waited);
  }

  /** @param ran ms that the handler took */
  settled(claim: Claim, settlement: Settlement, ran: number): void {
    const activity = this.of(claim);
    if (settlement.outcome === 'completed') activity.completed++;
    else if (settlement.retryIn === undefined) activity.failed++;
    else activity.retried++;
    count(activity.run, ran);
  }

  /** @param occupied ms from the delivery's arrival until another could take its place */
  left(claim: Claim, occupied: number): void {
    const activity = this.of(claim);
    activity.deliveries++;
    activity.slotMs += occupied;
  }

  /** Hands over what was counted since the last time. Exposed for tests. */
  async save(): Promise<void> {
    const activity = [...this.#counted.values()];
    if (activity.length === 0) return;
    this.#counted = new Map();
    this.#latest = undefined;
    try {
      await this.statistics.add(activity);
    } catch {
      // One entry a type, however long the outage lasts.
      for (const each of activity) mergeStatistics(this.of(each), each);
    }
  }

  private async prune(): Promise<void> {
    try {
      await this.statistics.prune(KEPT_MINUTES);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.warn('old statistics not removed', { reason });
    }
  }

  private of({ tenant, queue, type }: Counted): Activity {
    const latest = this.#latest;
    if (latest?.type === type && latest.queue === queue && latest.tenant === tenant) return latest;
    return (this.#latest = this.found(tenant, queue, type));
  }

  private found(tenant: string, queue: string, type: string): Activity {
    const place = JSON.stringify([tenant, queue, type]);
    const known = this.#counted.get(place);
    if (known) return known;

    const none = { submitted: 0, completed: 0, failed: 0, retried: 0, deliveries: 0, slotMs: 0 };
    const activity = { tenant, queue, type, ...none, wait: [], run: [] };
    this.#counted.set(place, activity);
    return activity;
  }
}
