import type { DataSource } from 'typeorm';
import type { Settlement } from '../jobs/job-repository.js';
import { GroupCommit } from './group-commit.js';
import { idRange, rowsOf, toJson } from './rows.js';

/**
 * Everything an attempt leaves behind, in one statement, for those rows alone whose token is still current: the job's
 * state, the attempt, the dead letter, and the end of the dispatch row or its next delivery. A repeated settlement is
 * known by the token on the attempt. Rows are locked in the order of their ids.
 * Plan: index lookups by job_id on `dispatch`, by id in the partitions that $7 and $8 leave.
 */
const SETTLE = `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
asked AS MATERIALIZED (
  SELECT a.* FROM durable, unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    AS a(job_id, token, outcome, result, error, retry_in)
),
held AS MATERIALIZED (
  SELECT d.job_id, d.token, d.worker_id, d.claimed_at, d.pushed_at, d.delivery, d.progress,
    a.outcome, a.result, a.error, a.retry_in, a.retry_in IS NULL AS final
  FROM asked a JOIN dispatch d ON d.job_id = a.job_id AND d.token = a.token
  ORDER BY d.job_id
  FOR UPDATE OF d
),
job AS (
  UPDATE jobs j SET
    status = CASE WHEN h.final THEN h.outcome END,
    result = h.result::json,
    error = h.error::json,
    attempts_made = j.attempts_made + 1,
    delivery = h.delivery,
    progress = coalesce(h.progress, j.progress),
    enqueued_at = h.pushed_at,
    started_at = h.claimed_at,
    finished_at = CASE WHEN h.final THEN clock_timestamp() END
  FROM held h
  WHERE j.id = h.job_id AND j.id BETWEEN $7 AND $8
  RETURNING j.id, j.tenant, j.type, j.queue, j.run, j.attempts_made
),
attempt AS (
  INSERT INTO job_attempts (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome, error)
  SELECT j.id, j.tenant, j.run, j.attempts_made, h.token, coalesce(w.host || ':' || w.pid, h.worker_id::text),
    h.claimed_at, clock_timestamp(), h.outcome, h.error::json
  FROM job j JOIN held h ON h.job_id = j.id LEFT JOIN workers w ON w.id = h.worker_id
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT j.id, j.tenant, h.outcome, j.type, j.queue
  FROM job j JOIN held h ON h.job_id = j.id
  WHERE h.final AND h.outcome = 'failed'
),
ended AS (
  DELETE FROM dispatch d USING held h WHERE d.job_id = h.job_id AND h.final
),
again AS (
  UPDATE dispatch d SET
    token = NULL, worker_id = NULL, claimed_at = NULL, pushed_at = NULL, alone = false,
    delivery = d.delivery + 1, run_at = now() + h.retry_in * interval '1 ms'
  FROM held h
  WHERE d.job_id = h.job_id AND NOT h.final
)
SELECT a.token, h.token IS NOT NULL OR EXISTS (
  SELECT FROM job_attempts t WHERE t.job_id = a.job_id AND t.job_id BETWEEN $7 AND $8 AND t.token = a.token
) AS settled
FROM asked a LEFT JOIN held h ON h.token = a.token`;

/** A settlement with its JSON made once, to be measured and stored. */
interface Written {
  jobId: string;
  token: string;
  outcome: 'completed' | 'failed';
  result: string | null;
  error: string | null;
  retryIn: number | null;
}

/** Commits the outcome of attempts: those that end at the same time share one statement. */
export class JobSettlements {
  readonly #commits = new GroupCommit((settlements: Written[]) => this.flush(settlements), {
    bytesOf: ({ result, error }) => (result?.length ?? 0) + (error?.length ?? 0),
  });

  constructor(private readonly database: DataSource) {}

  settle(settlement: Settlement): Promise<boolean> {
    return this.#commits.submit(written(settlement));
  }

  private async flush(settlements: Written[]): Promise<boolean[]> {
    return settleAll(this.database, settlements);
  }
}

/** @returns for each whether its token was current, or had settled before */
export async function settleAll(
  database: Pick<DataSource, 'query'>,
  settlements: Written[],
): Promise<boolean[]> {
  const ids = settlements.map(({ jobId }) => jobId);
  const rows = await rowsOf<{ token: string; settled: boolean }>(database, SETTLE, [
    ids,
    settlements.map(({ token }) => token),
    settlements.map(({ outcome }) => outcome),
    settlements.map(({ result }) => result),
    settlements.map(({ error }) => error),
    settlements.map(({ retryIn }) => retryIn),
    ...idRange(ids),
  ]);

  const settled = new Map(rows.map((row) => [row.token, row.settled]));
  return settlements.map(({ token }) => settled.get(token) === true);
}

export function written(settlement: Settlement): Written {
  const { jobId, token, outcome } = settlement;
  return outcome === 'completed'
    ? { jobId, token, outcome, result: toJson(settlement.result), error: null, retryIn: null }
    : {
        jobId,
        token,
        outcome,
        result: null,
        error: toJson(settlement.error),
        retryIn: settlement.retryIn ?? null,
      };
}
