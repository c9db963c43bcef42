import type { DataSource } from 'typeorm';
import type { AttemptReport, HeldClaim, Reaped } from '../jobs/job-repository.js';
import { throughDeadlocks } from './database-error.js';
import { rowsOf, toJson } from './rows.js';

const BACK_TO_WAITING = `
  token = NULL, worker_id = NULL, claimed_at = NULL, pushed_at = NULL, alone = false, delivery = d.delivery + 1`;

/** $1: by token, where it is given; $2: all that a worker holds. */
const RELEASE = `
WITH released AS (
  UPDATE dispatch d SET ${BACK_TO_WAITING},
    run_at = CASE WHEN $4::int > 0 THEN now() + $4::int * interval '1 ms' ELSE d.run_at END
  WHERE d.job_id IN (
    SELECT job_id FROM dispatch
    WHERE (job_id = $1::uuid AND token = $2::uuid) OR ($1::uuid IS NULL AND worker_id = $2::uuid)
    ORDER BY job_id FOR UPDATE
  )
  RETURNING d.job_id, d.tenant
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind, detail)
  SELECT job_id, tenant, 'released', json_build_object('reason', $3::text) FROM released
)
SELECT count(*)::int AS count FROM released`;

const MARK_ALONE = `
WITH marked AS (UPDATE dispatch SET alone = true WHERE job_id = $1 AND token = $2 RETURNING job_id)
SELECT count(*)::int AS count FROM marked`;

const REPORT = `
WITH live AS MATERIALIZED (SELECT job_id, tenant FROM dispatch WHERE job_id = $1 AND token = $2 FOR UPDATE),
progress AS (
  UPDATE dispatch d SET progress = $3::json FROM live WHERE d.job_id = live.job_id AND $3::json IS NOT NULL
),
lines AS (
  INSERT INTO job_logs (job_id, tenant, run, attempt, at, line)
  SELECT live.job_id, live.tenant, $4::smallint, $5::smallint, l.at, l.line
  FROM live, unnest($6::timestamptz[], $7::text[]) WITH ORDINALITY AS l(at, line, ord)
  ORDER BY l.ord
)
SELECT count(*)::int AS count FROM live`;

const HELD = `
SELECT job_id AS "jobId", token, (extract(epoch FROM clock_timestamp() - claimed_at) * 1000)::float8 AS age
FROM dispatch WHERE worker_id = $1`;

/**
 * Workers whose heartbeat is older than $1 ms are dead, and so is one that has claims but no row. The deletion decides:
 * a worker that beats just now keeps its row, and its claims. What the dead held goes back to waiting, a crash is
 * counted, and one suffered alone counts towards quarantine ($2).
 */
const REAP = `
WITH dead AS (
  DELETE FROM workers WHERE heartbeat_at < now() - $1 * interval '1 ms' RETURNING id
),
lost AS MATERIALIZED (
  SELECT d.job_id, d.token, d.worker_id, d.solo_crashes + d.alone::int AS solo
  FROM dispatch d
  WHERE d.worker_id IS NOT NULL
    AND (
      d.worker_id IN (SELECT id FROM dead) OR NOT EXISTS (SELECT FROM workers w WHERE w.id = d.worker_id)
    )
    AND d.claimed_at < now() - $1 * interval '1 ms'
  ORDER BY d.job_id
  FOR UPDATE OF d SKIP LOCKED
),
reaped AS (
  UPDATE dispatch d SET ${BACK_TO_WAITING}, crashes = d.crashes + 1, solo_crashes = l.solo
  FROM lost l
  WHERE d.job_id = l.job_id AND l.solo < $2
  RETURNING d.job_id, d.tenant, d.type, d.queue, l.worker_id, d.crashes, false AS quarantined
),
quarantined AS (
  DELETE FROM dispatch d USING lost l
  WHERE d.job_id = l.job_id AND l.solo >= $2
  RETURNING d.job_id, d.tenant, d.type, d.queue, l.worker_id, (d.crashes + 1)::smallint AS crashes, true AS quarantined,
    d.delivery, d.progress, d.pushed_at, d.claimed_at
),
failed AS (
  UPDATE jobs j SET status = 'failed', delivery = q.delivery, progress = coalesce(q.progress, j.progress),
    enqueued_at = q.pushed_at, started_at = q.claimed_at, finished_at = clock_timestamp(), result = NULL,
    error = json_build_object('code', 'CRASHED', 'message',
      'The process that ran this job died ' || q.crashes || ' times, the last ' || $2 || ' with this job alone in it.')
  FROM quarantined q
  WHERE j.id = q.job_id
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT job_id, tenant, 'failed', type, queue FROM quarantined
),
moved AS (
  SELECT job_id, tenant, worker_id, crashes, quarantined FROM reaped
  UNION ALL
  SELECT job_id, tenant, worker_id, crashes, quarantined FROM quarantined
),
event AS (
  INSERT INTO job_events (job_id, tenant, kind, detail)
  SELECT job_id, tenant, CASE WHEN quarantined THEN 'quarantined' ELSE 'reaped' END,
    json_build_object('worker', worker_id, 'crashes', crashes)
  FROM moved
)
SELECT job_id, worker_id, crashes, quarantined FROM moved ORDER BY job_id`;

interface ReapedRow {
  job_id: string;
  worker_id: string;
  crashes: number;
  quarantined: boolean;
}

/** Claims between their start and their settlement: kept, reported on, handed back, or taken from the dead. */
export class ClaimKeeping {
  constructor(private readonly database: DataSource) {}

  async release({ jobId, token }: HeldClaim, reason: string, delay = 0): Promise<boolean> {
    return (await this.count(RELEASE, [jobId, token, reason, delay])) === 1;
  }

  releaseAll(workerId: string, reason: string): Promise<number> {
    // A worker that goes asks once: what it does not hand back counts as crashed.
    return throughDeadlocks(() => this.count(RELEASE, [null, workerId, reason, 0]));
  }

  async markAlone({ jobId, token }: HeldClaim): Promise<boolean> {
    return (await this.count(MARK_ALONE, [jobId, token])) === 1;
  }

  async report({ jobId, token, run, attempt, progress, lines }: AttemptReport): Promise<boolean> {
    const live = await this.count(REPORT, [
      jobId,
      token,
      toJson(progress),
      run,
      attempt,
      lines.map(({ at }) => at.toISOString()),
      lines.map(({ line }) => line),
    ]);
    return live === 1;
  }

  held(workerId: string): Promise<(HeldClaim & { age: number })[]> {
    return rowsOf(this.database, HELD, [workerId]);
  }

  async reap(lease: number, crashLimit: number): Promise<Reaped[]> {
    const rows = await rowsOf<ReapedRow>(this.database, REAP, [lease, crashLimit]);
    return rows.map(({ job_id: jobId, worker_id: workerId, crashes, quarantined }) => ({
      jobId,
      workerId,
      crashes,
      quarantined,
    }));
  }

  private async count(sql: string, parameters: unknown[]): Promise<number> {
    const [row] = await rowsOf<{ count: number }>(this.database, sql, parameters);
    return row?.count ?? 0;
  }
}
