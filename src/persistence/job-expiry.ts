import type { DataSource } from 'typeorm';
import { rowsOf } from './rows.js';

/**
 * Those that another process is failing just now, or claiming, are left to it: a claim looks at the time itself.
 * Plan: a range of dispatch_expiring, then lookups by id.
 */
const EXPIRE = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
late AS MATERIALIZED (
  SELECT d.job_id FROM dispatch d, durable WHERE d.expires_at <= now() AND d.token IS NULL
  ORDER BY d.expires_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED
),
ended AS (
  DELETE FROM dispatch d USING late WHERE d.job_id = late.job_id
  RETURNING d.job_id, d.tenant, d.type, d.queue, d.delivery, d.pushed_at, d.progress, d.expires_at
),
job AS (
  UPDATE jobs j SET status = 'failed', delivery = e.delivery, progress = coalesce(e.progress, j.progress),
    enqueued_at = coalesce(e.pushed_at, j.enqueued_at), finished_at = clock_timestamp(),
    error = json_build_object('code', 'EXPIRED', 'message', CASE WHEN j.attempts_made = 0
      THEN 'It did not start before it expired.' ELSE 'Its next attempt did not start before it expired.' END)
  FROM ended e
  WHERE j.id = e.job_id
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT job_id, tenant, 'failed', type, queue FROM ended
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind) SELECT job_id, tenant, 'expired' FROM ended
)
SELECT job_id FROM ended ORDER BY job_id`;

/** Ends what did not start in time. */
export class JobExpiry {
  constructor(private readonly database: DataSource) {}

  async expire(limit: number): Promise<string[]> {
    const rows = await rowsOf<{ job_id: string }>(this.database, EXPIRE, [limit]);
    return rows.map(({ job_id }) => job_id);
  }
}
