import type { DataSource } from 'typeorm';
import type { Settlement } from '../jobs/job-repository.js';
import { DayStatement } from './day-statement.js';
import { GroupCommit } from './group-commit.js';
import { idRange, inOrder, rowsOf, toJson } from './rows.js';

/**
 * Everything an attempt leaves behind, in one statement, for those rows alone whose token is still current: the job's
 * state, the attempt, the dead letter, and the end of the dispatch row or its next delivery. A repeated settlement is
 * known by the token on the attempt. Rows are asked for, and so locked, in the order of their ids.
 * Plan: index lookups by job_id on `dispatch`, by id in `jobs`.
 */
const SETTLE = new DayStatement(
  'settle_jobs',
  6,
  ({ jobs, attempts, pruned }) => `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
asked AS MATERIALIZED (
  SELECT a.* FROM durable, unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    AS a(job_id, token, outcome, result, error, retry_in)
),
ended AS (
  DELETE FROM dispatch d USING asked a
  WHERE d.job_id = a.job_id AND (d.token = a.token) IS TRUE AND a.retry_in IS NULL
  RETURNING d.job_id, d.token, d.worker_id, d.claimed_at, d.pushed_at, d.delivery, d.progress,
    a.outcome, a.result, a.error, true AS final
),
retried AS MATERIALIZED (
  SELECT d.job_id, d.token, d.worker_id, d.claimed_at, d.pushed_at, d.delivery, d.progress,
    a.outcome, a.result, a.error, false AS final, a.retry_in
  FROM asked a JOIN dispatch d ON d.job_id = a.job_id AND (d.token = a.token) IS TRUE
  WHERE a.retry_in IS NOT NULL
  ORDER BY d.job_id
  FOR UPDATE OF d
),
again AS (
  UPDATE dispatch d SET
    token = NULL, worker_id = NULL, claimed_at = NULL, pushed_at = NULL, alone = false,
    delivery = d.delivery + 1, run_at = now() + r.retry_in * interval '1 ms'
  FROM retried r
  WHERE d.job_id = r.job_id
),
held AS (
  SELECT * FROM ended
  UNION ALL
  SELECT job_id, token, worker_id, claimed_at, pushed_at, delivery, progress, outcome, result, error, final FROM retried
),
job AS (
  UPDATE ${jobs} j SET
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
  WHERE j.id = h.job_id ${pruned}
  RETURNING j.id, j.tenant, j.type, j.queue, j.run, j.attempts_made, j.error,
    h.token, h.worker_id, h.claimed_at, h.outcome, h.final
),
attempt AS (
  INSERT INTO ${attempts} (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome, error)
  SELECT id, tenant, run, attempts_made, token,
    coalesce((SELECT w.host || ':' || w.pid FROM workers w WHERE w.id = job.worker_id), worker_id::text),
    claimed_at, clock_timestamp(), outcome, error
  FROM job
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT id, tenant, outcome, type, queue FROM job WHERE final AND outcome = 'failed'
)
SELECT token FROM held`,
);

/** Plan: lookups by (job_id, …) in the partitions that $3 and $4 leave. */
const SETTLED = `
SELECT t.token FROM unnest($1::uuid[], $2::uuid[]) AS a(job_id, token)
JOIN job_attempts t ON t.job_id = a.job_id AND t.token = a.token AND t.job_id BETWEEN $3 AND $4`;

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

  /** Ends and retries apart: each statement locks all its rows in one order. */
  private async flush(settlements: Written[]): Promise<boolean[]> {
    const tokens: Token[] = [];
    for (const ends of [true, false]) {
      const some = inOrder(settlements.filter(({ retryIn }) => (retryIn === null) === ends));
      if (some.length === 0) continue;
      const ids = some.map(({ jobId }) => jobId);
      tokens.push(...(await SETTLE.rowsOf<Token>(this.database, ids, [ids, ...columnsOf(some)])));
    }
    return settledOnes(this.database, settlements, tokens);
  }
}

/** In the caller's transaction. @returns for each whether its token was current, or had settled before */
export async function settleWithin(
  transaction: Pick<DataSource, 'query'>,
  settlements: Written[],
): Promise<boolean[]> {
  const sorted = inOrder(settlements);
  const ids = sorted.map(({ jobId }) => jobId);
  const parameters = [ids, ...columnsOf(sorted), ...idRange(ids)];
  const tokens = await rowsOf<Token>(transaction, SETTLE.whole, parameters);
  return settledOnes(transaction, settlements, tokens);
}

interface Token {
  token: string;
}

/** $2 to $6 of SETTLE. */
function columnsOf(settlements: Written[]): unknown[][] {
  return [
    settlements.map(({ token }) => token),
    settlements.map(({ outcome }) => outcome),
    settlements.map(({ result }) => result),
    settlements.map(({ error }) => error),
    settlements.map(({ retryIn }) => retryIn),
  ];
}

/** Those that were settled now, and those that a repeated call finds settled. */
async function settledOnes(
  database: Pick<DataSource, 'query'>,
  settlements: Written[],
  now: Token[],
): Promise<boolean[]> {
  const settled = new Set(now.map(({ token }) => token));
  const others = settlements.filter(({ token }) => !settled.has(token));
  if (others.length > 0) {
    const ids = others.map(({ jobId }) => jobId);
    const before = await rowsOf<Token>(database, SETTLED, [
      ids,
      others.map(({ token }) => token),
      ...idRange(ids),
    ]);
    for (const { token } of before) settled.add(token);
  }
  return settlements.map(({ token }) => settled.has(token));
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
