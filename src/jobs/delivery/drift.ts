import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { JobRepository } from '../job-repository.js';
import { Repeater } from './repeater.js';

/**
 * lost: deliveries that the queue should have held and did not. repaired: those that were pushed again or replaced.
 * rebuilt: lanes that were wiped, restored or on another server. phantom: deliveries that the queue handed to a worker
 * though the record had done with them. reaped: jobs taken back from a dead worker. quarantined: jobs that killed theirs.
 */
export const DRIFT = ['lost', 'repaired', 'rebuilt', 'phantom', 'reaped', 'quarantined'] as const;

export type DriftKind = (typeof DRIFT)[number];

/** How often each was seen. */
export type DriftCounts = Record<DriftKind, number>;

const INTERVAL = 1_000;

/** Where queue and record were found to differ: counted here, kept in the record. A crash costs a second's counts. */
@Injectable()
export class Drift implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #counts: Partial<DriftCounts> = {};
  readonly #saving = new Repeater(() => this.save(), INTERVAL);

  constructor(private readonly jobs: JobRepository) {}

  onApplicationBootstrap(): void {
    this.#saving.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#saving.stop();
    await this.save();
  }

  add(kind: DriftKind, count = 1): void {
    if (count > 0) this.#counts[kind] = (this.#counts[kind] ?? 0) + count;
  }

  private async save(): Promise<void> {
    const counts = this.#counts;
    if (Object.keys(counts).length === 0) return;
    this.#counts = {};
    try {
      await this.jobs.addDrift(counts);
    } catch {
      for (const kind of DRIFT) this.add(kind, counts[kind]);
    }
  }
}
