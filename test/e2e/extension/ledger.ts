import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AppConfig } from 'job-queue-platform/extension';
import pg from 'pg';

/** One advisory lock for all processes that make the tables at the same time. */
const TABLES = `
BEGIN;
SELECT pg_advisory_xact_lock(20260101);
CREATE TABLE IF NOT EXISTS effects (key text NOT NULL, job_id uuid NOT NULL, attempt int NOT NULL, pid int NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS ledger_openings (pid int NOT NULL);
COMMIT`;

/** This team's own store, on its own connections. Nothing keeps a key from being written twice: tests count. */
@Injectable()
export class Ledger implements OnModuleInit, OnApplicationShutdown {
  readonly #pool: pg.Pool;

  constructor({ database }: AppConfig) {
    this.#pool = new pg.Pool({ connectionString: database.url, max: 8, application_name: 'ledger' });
    this.#pool.on('error', () => undefined); // a server killed under it
  }

  async onModuleInit(): Promise<void> {
    await this.#pool.query(TABLES);
    await this.#pool.query('INSERT INTO ledger_openings VALUES ($1)', [process.pid]);
  }

  async record(key: string, { jobId, attempt }: { jobId: string; attempt: number }): Promise<void> {
    const values = [key, jobId, attempt, process.pid];
    await this.#pool.query('INSERT INTO effects (key, job_id, attempt, pid) VALUES ($1, $2, $3, $4)', values);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end();
  }
}
