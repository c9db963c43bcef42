import type { DataSource } from 'typeorm';
import { DuplicateJob } from '../jobs/job.errors.js';
import { idRange, rowsOf } from './rows.js';

/**
 * The dead letter is the lock: of two retries made at once, one finds it. The next delivery's number is a new one. A job
 * whose dedupe key another one has by now stays as it is. Plan: lookups by id, in the partitions that $3 and $4 leave.
 */
const RETRY = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
dead AS MATERIALIZED (
  SELECT l.job_id, l.status FROM dead_letters l, durable WHERE l.tenant = $1 AND l.job_id = ANY($2::uuid[])
  ORDER BY l.job_id FOR UPDATE OF l
),
live AS (
  INSERT INTO dispatch (job_id, tenant, type, queue, shard, priority, run_at, delivery, dedupe_key)
  SELECT j.id, j.tenant, j.type, j.queue, job_shard(j.id, $5), j.priority, now(), j.delivery + 1, j.dedupe_key
  FROM dead JOIN jobs j ON j.id = dead.job_id AND j.id BETWEEN $3 AND $4
  ORDER BY j.dedupe_key, j.id
  ON CONFLICT (tenant, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
  RETURNING job_id
),
letter AS (
  DELETE FROM dead_letters l USING live WHERE l.job_id = live.job_id RETURNING l.job_id, l.status
),
job AS (
  UPDATE jobs j SET
    status = NULL, result = NULL, error = NULL, progress = NULL, enqueued_at = NULL, started_at = NULL,
    finished_at = NULL, run = j.run + 1, attempts_made = 0, run_at = now(), data = coalesce($6::json, j.data),
    expires_at = NULL
  FROM live
  WHERE j.id = live.job_id AND j.id BETWEEN $3 AND $4
  RETURNING j.id, j.tenant, j.run
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind, detail)
  SELECT j.id, j.tenant, 'retried', json_build_object('run', j.run, 'from', letter.status, 'edited', $6::json IS NOT NULL)
  FROM job j JOIN letter ON letter.job_id = j.id
)
SELECT job_id FROM live`;

const HOLDER = `
SELECT d.job_id, d.dedupe_key FROM jobs j JOIN dispatch d ON d.tenant = j.tenant AND d.dedupe_key = j.dedupe_key
WHERE j.tenant = $1 AND j.id = $2 AND j.status IN ('failed', 'cancelled')`;

/** Starts new runs of jobs that failed or were cancelled. */
export class JobRetries {
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
  ) {}

  /** @returns whether there was a dead letter to revive @throws DuplicateJob */
  async retry(tenant: string, id: string, json?: string): Promise<boolean> {
    const revived = await retryAll(this.database, this.shards, tenant, [id], json);
    if (revived.length === 1) return true;

    const [holder] = await rowsOf<{ job_id: string; dedupe_key: string }>(this.database, HOLDER, [
      tenant,
      id,
    ]);
    if (holder) throw new DuplicateJob(holder.dedupe_key, holder.job_id);
    return false;
  }
}

/** @param json new data for all of them, as JSON text @returns the ids of those that run again */
export async function retryAll(
  database: Pick<DataSource, 'query'>,
  shards: number,
  tenant: string,
  ids: readonly string[],
  json: string | null = null,
): Promise<string[]> {
  const parameters = [tenant, ids, ...idRange(ids), shards, json];
  const rows = await rowsOf<{ job_id: string }>(database, RETRY, parameters);
  return rows.map(({ job_id }) => job_id);
}
