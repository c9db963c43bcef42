import { Injectable } from '@nestjs/common';
import type { DriftCounts } from '../jobs/delivery/drift.js';
import { JobRepository, type LiveCounts } from '../jobs/job-repository.js';

/** Callers within this time (ms) share one count. */
const SHARED_FOR = 1_000;

export interface Stats {
  /** When it was counted. */
  at: Date;
  queues: LiveCounts[];
  drift: DriftCounts;
}

/** Counts the live jobs of a tenant, and how often queue and record were found to differ. */
@Injectable()
export class GetStatsUseCase {
  readonly #latest = new Map<string, { until: number; stats: Promise<Stats> }>();

  constructor(private readonly jobs: JobRepository) {}

  execute({ tenant }: { tenant: string }): Promise<Stats> {
    const known = this.#latest.get(tenant);
    if (known && known.until > performance.now()) return known.stats;

    const stats = this.count(tenant);
    this.#latest.set(tenant, { until: performance.now() + SHARED_FOR, stats });
    stats.catch(() => this.#latest.delete(tenant));
    return stats;
  }

  private async count(tenant: string): Promise<Stats> {
    const [queues, drift] = await Promise.all([this.jobs.countLive(tenant), this.jobs.drift()]);
    return { at: new Date(), queues, drift };
  }
}
