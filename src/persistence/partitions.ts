import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';

const HOUR = 3_600_000;
const DAYS_AHEAD = 7;

/** Keeps a week of daily partitions ready, so that no insert ever waits for one. */
@Injectable()
export class Partitions implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(Partitions.name);
  #timer?: NodeJS.Timeout;

  constructor(private readonly database: DataSource) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.ensure();
    this.#timer = setInterval(() => void this.ensureQuietly(), HOUR);
    this.#timer.unref();
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  async ensure(): Promise<void> {
    await this.database.query('SELECT ensure_partitions(1, $1)', [DAYS_AHEAD]);
  }

  /** A failure is no emergency: the next hour comes long before the last partition is full. */
  private async ensureQuietly(): Promise<void> {
    try {
      await this.ensure();
    } catch (error) {
      this.#logger.warn('partitions not made', {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
