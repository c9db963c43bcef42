import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AppConfig } from '../../../src/config/app-config.js';
import type { JobContext } from '../../../src/job-types/job-type.js';

export const INSERT = `
INSERT INTO effects (job_id, run, attempt, worker, mark) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (mark) DO NOTHING`;

/** The store of the effects: one row each time a handler gets so far. Nothing keeps a job from being written twice. */
@Injectable()
export class Effects implements OnApplicationShutdown {
  readonly #worker = `${process.pid} ${randomUUID()}`;
  readonly #pool: pg.Pool;

  constructor({ database }: AppConfig) {
    this.#pool = new pg.Pool({
      connectionString: database.url,
      max: 8,
      application_name: 'effects',
      connectionTimeoutMillis: 2_000,
      query_timeout: 5_000,
    });
    this.#pool.on('error', () => undefined); // a server killed under it
  }

  /**
   * Writes until the server answers, as a patient handler would, or until the signal says that nobody wants it any more.
   * An answer that was lost makes two rows of one run, so each run has a mark of its own.
   */
  async write({ jobId, run, attempt, signal }: JobContext): Promise<void> {
    const mark = randomUUID();
    for (;;) {
      try {
        await this.#pool.query(INSERT, [jobId, run, attempt, this.#worker, mark]);
        return;
      } catch {
        await sleep(200, undefined, { signal });
      }
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end();
  }
}

/** Loaded in workers alone, with the handlers. */
@Module({ providers: [Effects], exports: [Effects] })
export class EffectsStoreModule {}
