import { Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Repeater } from '../jobs/delivery/repeater.js';
import { rowsOf } from './rows.js';

const INTERVAL = 60_000;
const BATCH = 1_000;

/** Removes rows whose time is over, once a minute, a bounded batch at a time. */
export abstract class BatchedRemoval implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(this.constructor.name);
  readonly #passes = new Repeater(() => this.removeQuietly(), INTERVAL);
  #stopping = false;

  /**
   * @param what for the log
   * @param sql removes at most $1 rows, and returns their `count`; it waits for no other pass
   */
  protected constructor(
    private readonly database: DataSource,
    private readonly what: string,
    private readonly sql: string,
  ) {}

  onApplicationBootstrap(): void {
    this.#passes.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping = true;
    await this.#passes.stop();
  }

  /** Exposed for tests. @returns how many are gone */
  async remove(batch = BATCH): Promise<number> {
    let removed = 0;
    let count: number;
    do {
      const [row] = await rowsOf<{ count: number }>(this.database, this.sql, [batch]);
      count = row?.count ?? 0;
      removed += count;
    } while (count === batch && !this.#stopping);
    return removed;
  }

  private async removeQuietly(): Promise<void> {
    try {
      await this.remove();
    } catch (error) {
      this.#logger.warn(`${this.what} not removed`, {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
