import type { DataSource } from 'typeorm';
import { idRange, rowsOf } from './rows.js';

/**
 * With its row in `dispatch` a job loses its deliveries and its claim: what a worker still does with it is refused. Rows
 * are locked in the order of their ids. Plan: index lookups by job_id on `dispatch`, then by id in the partitions that
 * $3 and $4 leave.
 */
const CANCEL = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
live AS MATERIALIZED (
  SELECT d.job_id FROM dispatch d, durable WHERE d.tenant = $1 AND d.job_id = ANY($2::uuid[])
  ORDER BY d.job_id FOR UPDATE OF d
),
ended AS (
  DELETE FROM dispatch d USING live WHERE d.job_id = live.job_id
  RETURNING d.job_id, d.tenant, d.type, d.queue, d.delivery, d.pushed_at, d.claimed_at, d.progress, d.worker_id,
    CASE WHEN d.token IS NOT NULL THEN 'active' WHEN d.run_at > now() THEN 'delayed' ELSE 'waiting' END AS was
),
job AS (
  UPDATE jobs j SET status = 'cancelled', delivery = e.delivery, progress = coalesce(e.progress, j.progress),
    enqueued_at = coalesce(e.pushed_at, j.enqueued_at), started_at = coalesce(e.claimed_at, j.started_at),
    finished_at = clock_timestamp()
  FROM ended e
  WHERE j.id = e.job_id AND j.id BETWEEN $3 AND $4
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT job_id, tenant, 'cancelled', type, queue FROM ended
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind, detail)
  SELECT job_id, tenant, 'cancelled', json_build_object('from', was, 'worker', worker_id) FROM ended
)
SELECT job_id FROM ended ORDER BY job_id`;

/** `jobs.run_at` follows, so that the record of a job that is over tells when it might have started. */
const RUN_NOW = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
due AS (
  UPDATE dispatch d SET run_at = now() FROM durable
  WHERE d.tenant = $1 AND d.job_id = $2 AND d.token IS NULL AND d.run_at > now()
  RETURNING d.job_id, d.tenant, d.run_at
),
job AS (
  UPDATE jobs j SET run_at = due.run_at FROM due WHERE j.id = due.job_id AND j.id = $2
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind) SELECT job_id, tenant, 'run now' FROM due
)
SELECT job_id FROM due`;

/** @returns the ids of those that were not over, and are now */
export async function cancelAll(
  database: Pick<DataSource, 'query'>,
  tenant: string,
  ids: readonly string[],
): Promise<string[]> {
  const rows = await rowsOf<{ job_id: string }>(database, CANCEL, [tenant, ids, ...idRange(ids)]);
  return rows.map(({ job_id }) => job_id);
}

/** What people decide of jobs that are not over. */
export class JobControl {
  constructor(private readonly database: DataSource) {}

  cancel(tenant: string, ids: readonly string[]): Promise<string[]> {
    return cancelAll(this.database, tenant, ids);
  }

  /** @returns whether the job was delayed */
  async runNow(tenant: string, id: string): Promise<boolean> {
    return (await rowsOf(this.database, RUN_NOW, [tenant, id])).length === 1;
  }
}
