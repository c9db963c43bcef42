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

/** Plan: a range of schedule_fires_fire_at, then $1 rows by their place. No two passes wait for each other. */
const REMOVE = `
WITH removed AS (
  DELETE FROM schedule_fires WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM schedule_fires
    WHERE fire_at < now() - interval '7 days' ORDER BY fire_at LIMIT $1 FOR UPDATE SKIP LOCKED
  ))
  RETURNING 1
)
SELECT count(*)::int AS count FROM removed`;

/** Removes what is on record of times longer than a week ago. None comes again: a schedule knows its next one. */
@Injectable()
export class OldFires implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(OldFires.name);
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
      this.#logger.warn('old fires not removed', {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
