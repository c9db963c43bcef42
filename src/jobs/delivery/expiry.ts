import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { JobRepository } from '../job-repository.js';
import { Repeater } from './repeater.js';

const INTERVAL = 1_000;
const BATCH = 1_000;

/** Fails the jobs that did not start in time. Every process looks: the record gives each job to one of them. */
@Injectable()
export class Expiry implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Job');
  readonly #runs = new Repeater(() => this.run(), INTERVAL);
  #down = false;

  constructor(private readonly jobs: JobRepository) {}

  onApplicationBootstrap(): void {
    this.#runs.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#runs.stop();
  }

  /** One pass. Exposed for tests. */
  async run(): Promise<void> {
    try {
      for (let full = true; full;) {
        const expired = await this.jobs.expire(BATCH);
        for (const jobId of expired) this.#logger.warn('expired', { jobId });
        full = expired.length === BATCH;
      }
      this.#down = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#down) this.#logger.warn('expiry waits', { reason });
      this.#down = true;
    }
  }
}
