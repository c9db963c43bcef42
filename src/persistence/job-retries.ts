import type { DataSource } from 'typeorm';
import { DuplicateJob } from '../jobs/job.errors.js';
import { isDuplicate } from './database-error.js';
import { rowsOf } from './rows.js';

/** The dead letter is the lock: of two retries made at once, one finds it. The next delivery's number is a new one. */
const RETRY = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
letter AS (
  DELETE FROM dead_letters l USING durable WHERE l.tenant = $1 AND l.job_id = $2 RETURNING l.job_id, l.status
),
job AS (
  UPDATE jobs j SET
    status = NULL, result = NULL, error = NULL, progress = NULL, enqueued_at = NULL, started_at = NULL,
    finished_at = NULL, run = j.run + 1, attempts_made = 0, run_at = now(), data = coalesce($4::json, j.data),
    expires_at = NULL
  FROM letter
  WHERE j.id = letter.job_id AND j.id = $2
  RETURNING j.id, j.tenant, j.type, j.queue, j.priority, j.run, j.run_at, j.delivery, j.dedupe_key
),
live AS (
  INSERT INTO dispatch (job_id, tenant, type, queue, shard, priority, run_at, delivery, dedupe_key)
  SELECT id, tenant, type, queue, job_shard(id, $3), priority, run_at, delivery + 1, dedupe_key FROM job
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind, detail)
  SELECT id, tenant, 'retried', json_build_object('run', run, 'from', letter.status, 'edited', $4::json IS NOT NULL)
  FROM job, letter
)
SELECT id FROM job`;

const HOLDER = `
SELECT d.job_id, d.dedupe_key FROM jobs j JOIN dispatch d ON d.tenant = j.tenant AND d.dedupe_key = j.dedupe_key
WHERE j.tenant = $1 AND j.id = $2`;

/** Starts new runs of jobs that failed or were cancelled. */
export class JobRetries {
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
  ) {}

  /** @returns whether there was a dead letter to revive @throws DuplicateJob */
  async retry(tenant: string, id: string, json?: string): Promise<boolean> {
    try {
      const rows = await rowsOf(this.database, RETRY, [tenant, id, this.shards, json ?? null]);
      return rows.length === 1;
    } catch (error) {
      throw isDuplicate(error) ? await this.duplicate(tenant, id, error) : error;
    }
  }

  private async duplicate(tenant: string, id: string, error: unknown): Promise<unknown> {
    const [holder] = await rowsOf<{ job_id: string; dedupe_key: string }>(this.database, HOLDER, [
      tenant,
      id,
    ]);
    return holder ? new DuplicateJob(holder.dedupe_key, holder.job_id) : error;
  }
}
