import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Repeater } from '../jobs/delivery/repeater.js';
import type { Fired } from './schedule-repository.js';
import { FireDueSchedulesUseCase } from './use-cases/fire-due-schedules.use-case.js';

const INTERVAL = 500;

/** Looks twice a second whether a schedule is due. There is no leader: every process that has one ticks. */
@Injectable()
export class ScheduleTicker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Schedule');
  readonly #ticks = new Repeater(() => this.tick(), INTERVAL);
  #closing = false;
  #down = false;

  constructor(private readonly fireDueSchedules: FireDueSchedulesUseCase) {}

  onApplicationBootstrap(): void {
    this.#ticks.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#closing = true;
    await this.#ticks.stop();
  }

  /** Fires until nothing is due. Exposed for tests. */
  async tick(): Promise<void> {
    try {
      for (let more = true; more && !this.#closing;) {
        const done = await this.fireDueSchedules.execute();
        done.fired.forEach((fired) => this.tell(fired));
        more = done.more;
      }
      this.#down = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#down) this.#logger.warn('schedules wait', { reason });
      this.#down = true;
    }
  }

  private tell({ tenant, schedule, type, at, jobId, skipped }: Fired): void {
    const facts = { tenant, schedule, type, at: at.toISOString() };
    if (jobId) this.#logger.log('fired', { ...facts, jobId });
    else if (skipped === 'invalid') this.#logger.warn('skipped', { ...facts, skipped });
    else this.#logger.log('skipped', { ...facts, skipped });
  }
}
