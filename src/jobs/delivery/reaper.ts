import { Injectable, Logger } from '@nestjs/common';
import { JobRepository } from '../job-repository.js';
import { Drift } from './drift.js';
import { Heartbeat } from './heartbeat.js';
import { Repeater } from './repeater.js';

/** A worker is taken for dead when its heartbeat is so old, in ms, by the database's clock. */
export const LEASE = 10_000;

/** Crashes suffered alone in a process that put a job into quarantine. */
export const CRASH_LIMIT = 3;

const INTERVAL = 2_000;

/** Takes back the jobs of workers that are gone. A crash is counted apart from the attempts, and burns none. */
@Injectable()
export class Reaper {
  readonly #logger = new Logger(Reaper.name);
  readonly #runs = new Repeater(() => this.run(), INTERVAL);

  constructor(
    private readonly jobs: JobRepository,
    private readonly heartbeat: Heartbeat,
    private readonly drift: Drift,
  ) {}

  start(): void {
    this.#runs.start();
  }

  async stop(): Promise<void> {
    await this.#runs.stop();
  }

  /** One pass. Exposed for tests. */
  async run(): Promise<void> {
    // After an outage of the database every heartbeat is old: first the living get the time to show that they live.
    if (this.heartbeat.steadyFor() < LEASE) return;
    try {
      for (const { jobId, workerId, crashes, quarantined } of await this.jobs.reap(LEASE, CRASH_LIMIT)) {
        this.drift.add(quarantined ? 'quarantined' : 'reaped');
        this.#logger.warn(quarantined ? 'quarantined' : 'reaped', { jobId, workerId, crashes });
      }
    } catch (error) {
      this.#logger.warn('reaper waits', { reason: error instanceof Error ? error.message : String(error) });
    }
  }
}
