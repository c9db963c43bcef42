import type { DataSource } from 'typeorm';
import type { DeferredStart, HeldClaim, Settlement } from '../jobs/job-repository.js';
import type { Json } from '../jobs/job.js';
import { DayStatement } from './day-statement.js';
import { GroupCommit } from './group-commit.js';
import { idRange, inOrder, plainArray, rowsOf, toJson, UNCOUNTED_IDS } from './rows.js';

/** A row that bears the token, or none and the delivery of an attempt whose claim is not on record. */
const CURRENT = `coalesce(d.token = a.token, d.delivery = a.delivery) IS TRUE`;

/** Of such an attempt the worker tells who runs it, and since when. */
const STARTED = `a.token, coalesce(d.worker_id, a.worker_id) AS worker_id,
    least(d.claimed_at, a.started_at) AS claimed_at, coalesce(d.pushed_at, a.started_at) AS pushed_at,
    a.finished_at`;

/** An attempt ends when its worker says so, and not once the rows are locked. */
const TIMES = `clock_timestamp() AS finished_at, clock_timestamp() - a.ran * interval '1 ms' AS started_at`;

/**
 * The end of most jobs. The attempt stands on the job's own row, since nothing comes after it, and all else that it leaves
 * behind goes: one row written and one deleted, for those alone whose claim is still current. Rows are locked first, in the
 * order of their ids: the plan may delete in another. Workers are looked up once, not once a row.
 * Plan: index lookups by job_id on `dispatch`, by id in `jobs`.
 */
const COMPLETE = new DayStatement(
  'complete_jobs',
  6,
  ({ jobs, pruned }) => `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
asked AS MATERIALIZED (
  SELECT a.*, ${TIMES}
  FROM durable, unnest(${UNCOUNTED_IDS}, $2::uuid[], $3::text[], $4::int[], $5::uuid[], $6::float8[])
    AS a(job_id, token, result, delivery, worker_id, ran)
),
held AS MATERIALIZED (
  SELECT ${STARTED}, d.job_id, d.delivery, d.progress, a.result
  FROM asked a JOIN dispatch d ON d.job_id = a.job_id AND ${CURRENT}
  ORDER BY d.job_id
  FOR UPDATE OF d
),
ended AS (
  DELETE FROM dispatch d USING held h WHERE d.job_id = h.job_id
  RETURNING h.*
),
claimant AS MATERIALIZED (
  SELECT id, host || ':' || pid AS name FROM workers WHERE id IN (SELECT worker_id FROM ended)
)
UPDATE ${jobs} j SET
  status = 'completed',
  result = e.result::json,
  error = NULL,
  attempts_made = j.attempts_made + 1,
  delivery = e.delivery,
  progress = coalesce(e.progress, j.progress),
  enqueued_at = e.pushed_at,
  started_at = e.claimed_at,
  finished_at = e.finished_at,
  token = e.token,
  worker = coalesce(c.name, e.worker_id::text)
FROM ended e LEFT JOIN claimant c ON c.id = e.worker_id
WHERE j.id = e.job_id ${pruned}
RETURNING e.token`,
);

/**
 * Everything a failed attempt leaves behind, in one statement, under the same condition and in the same order: the job's
 * state, the attempt, the dead letter, and the end of the dispatch row or its next delivery.
 * Plan: index lookups by job_id on `dispatch`, by id in `jobs`.
 */
const FAIL = new DayStatement(
  'fail_jobs',
  7,
  ({ jobs, attempts, pruned }) => `
WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
asked AS MATERIALIZED (
  SELECT a.*, ${TIMES}
  FROM durable, unnest(${UNCOUNTED_IDS}, $2::uuid[], $3::text[], $4::int[], $5::uuid[], $6::float8[], $7::bigint[])
    AS a(job_id, token, error, delivery, worker_id, ran, retry_in)
),
held AS MATERIALIZED (
  SELECT ${STARTED}, d.job_id, d.delivery, d.progress, a.error, a.retry_in
  FROM asked a JOIN dispatch d ON d.job_id = a.job_id AND ${CURRENT}
  ORDER BY d.job_id
  FOR UPDATE OF d
),
ended AS (
  DELETE FROM dispatch d USING held h WHERE d.job_id = h.job_id AND h.retry_in IS NULL
),
again AS (
  UPDATE dispatch d SET
    token = NULL, worker_id = NULL, claimed_at = NULL, pushed_at = NULL, alone = false,
    delivery = d.delivery + 1, run_at = now() + h.retry_in * interval '1 ms'
  FROM held h
  WHERE d.job_id = h.job_id AND h.retry_in IS NOT NULL
),
job AS (
  UPDATE ${jobs} j SET
    status = CASE WHEN h.retry_in IS NULL THEN 'failed' END,
    error = h.error::json,
    attempts_made = j.attempts_made + 1,
    delivery = h.delivery,
    progress = coalesce(h.progress, j.progress),
    enqueued_at = h.pushed_at,
    started_at = h.claimed_at,
    finished_at = CASE WHEN h.retry_in IS NULL THEN h.finished_at END
  FROM held h
  WHERE j.id = h.job_id ${pruned}
  RETURNING j.id, j.tenant, j.type, j.queue, j.run, j.attempts_made, j.error, h.token, h.worker_id,
    h.claimed_at, h.finished_at AS ended_at, h.retry_in
),
attempt AS (
  INSERT INTO ${attempts} (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome, error)
  SELECT id, tenant, run, attempts_made, token,
    coalesce((SELECT w.host || ':' || w.pid FROM workers w WHERE w.id = job.worker_id), worker_id::text),
    claimed_at, ended_at, 'failed', error
  FROM job
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT id, tenant, 'failed', type, queue FROM job WHERE retry_in IS NULL
)
SELECT token FROM job`,
);

/**
 * A repeated settlement is known by its token. Not a join: that would read the whole range of ids, since PostgreSQL looks
 * into a part of a view with a condition of its own by constants alone. Plan: lookups by id in both tables, in the
 * partitions that $3 and $4 leave.
 */
const SETTLED = `
SELECT token FROM all_attempts
WHERE job_id = ANY($1::uuid[]) AND token = ANY($2::uuid[]) AND job_id BETWEEN $3 AND $4`;

/** A settlement with its JSON made once, to be measured and stored. */
interface Written {
  jobId: string;
  token: string;
  outcome: Settlement['outcome'];
  /** The result or the error. */
  json: string | null;
  retryIn: number | null;
  start: DeferredStart | undefined;
}

/** Commits the outcome of attempts: those that end at the same time share one statement. */
export class JobSettlements {
  readonly #commits = new GroupCommit((settlements: Written[]) => this.flush(settlements), {
    bytesOf: ({ json }) => json?.length ?? 0,
  });

  constructor(private readonly database: DataSource) {}

  settle(settlement: Settlement): Promise<boolean> {
    return this.#commits.submit(written(settlement));
  }

  /** Each statement locks all its rows in one order: so ends and retries are apart. */
  private async flush(settlements: Written[]): Promise<boolean[]> {
    const completed = settlements.filter(({ outcome }) => outcome === 'completed');
    const failed = settlements.filter(({ outcome }) => outcome === 'failed');
    const ended = failed.filter(({ retryIn }) => retryIn === null);
    const retried = failed.filter(({ retryIn }) => retryIn !== null);

    const tokens = await this.write(COMPLETE, completed);
    for (const some of [ended, retried]) {
      tokens.push(...(await this.write(FAIL, some, ({ retryIn }) => retryIn)));
    }
    return settledOnes(this.database, settlements, tokens);
  }

  /** @param columns further ones, after those of all settlements */
  private async write(
    statement: DayStatement,
    settlements: Written[],
    ...columns: ((one: Written) => unknown)[]
  ): Promise<Token[]> {
    if (settlements.length === 0) return [];
    const sorted = inOrder(settlements);
    const ids = sorted.map(({ jobId }) => jobId);
    return statement.rowsOf<Token>(this.database, ids, [
      plainArray(ids),
      plainArray(sorted.map(({ token }) => token)),
      sorted.map(({ json }) => json),
      plainArray(sorted.map(({ start }) => start?.delivery)),
      plainArray(sorted.map(({ start }) => start?.workerId)),
      plainArray(sorted.map(({ start }) => start?.ran)),
      ...columns.map((of) => sorted.map(of)),
    ]);
  }
}

/** In the caller's transaction, which has locked the row in `dispatch`: the token is current. */
export async function completeWithin(
  transaction: Pick<DataSource, 'query'>,
  { jobId, token }: HeldClaim,
  result: Json,
): Promise<void> {
  const ids = [jobId];
  await rowsOf(transaction, COMPLETE.whole, [
    ids,
    [token],
    [toJson(result)],
    [null],
    [null],
    [null],
    ...idRange(ids),
  ]);
}

interface Token {
  token: string;
}

/** Those that were settled now, and those that a repeated call finds settled. */
async function settledOnes(database: DataSource, settlements: Written[], now: Token[]): Promise<boolean[]> {
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

function written(settlement: Settlement): Written {
  const { jobId, token, outcome, start } = settlement;
  return outcome === 'completed'
    ? { jobId, token, outcome, start, json: toJson(settlement.result), retryIn: null }
    : { jobId, token, outcome, start, json: toJson(settlement.error), retryIn: settlement.retryIn ?? null };
}
