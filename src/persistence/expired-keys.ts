import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Repeater } from '../jobs/delivery/repeater.js';
import { rowsOf } from './rows.js';

const INTERVAL = 60_000;
const BATCH = 1_000;

/**
 * A minute behind, so that a request which has just lost against a key still finds it. Other processes' rows and those
 * that a submit renews are skipped: no two passes wait for each other.
 * Plan: index scan of idempotency_keys_expires_at, then $1 rows by their place.
 */
const REMOVE = `
WITH removed AS (
  DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE expires_at < now() - interval '1 minute' ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
  ))
  RETURNING 1
)
SELECT count(*)::int AS count FROM removed`;

/** Removes idempotency keys that have expired, a bounded batch at a time. They count as absent before. */
@Injectable()
export class ExpiredKeys implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(ExpiredKeys.name);
  readonly #passes = new Repeater(() => this.removeQuietly(), INTERVAL);

  #stopping = false;

  constructor(private readonly database: DataSource) {}

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
      const [row] = await rowsOf<{ count: number }>(this.database, REMOVE, [batch]);
      count = row?.count ?? 0;
      removed += count;
    } while (count === batch && !this.#stopping);
    return removed;
  }

  private async removeQuietly(): Promise<void> {
    try {
      await this.remove();
    } catch (error) {
      this.#logger.warn('expired keys not removed', {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
