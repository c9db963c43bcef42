import type { DataSource } from 'typeorm';
import type { Claim, ClaimAnswer, ClaimRequest } from '../jobs/job-repository.js';
import type { Backoff, Json } from '../jobs/job.js';
import { DayStatement } from './day-statement.js';
import { GroupCommit } from './group-commit.js';
import { inOrder, plainArray, UNCOUNTED_IDS } from './rows.js';

/** Why a current delivery may not start yet. */
const HELD = `NOT a.started AND d.token IS NULL AND (
      d.run_at > now() OR coalesce(d.expires_at <= now(), false)
        OR d.queue = ANY (ARRAY(SELECT queue FROM queue_pauses))
    )`;

/**
 * Rows are locked first, in the order of their ids whatever the plan: two batches do not deadlock. The commit need not
 * wait for the disk: a claim that a crash of PostgreSQL takes back is asked for again at settlement.
 * Plan: index lookups by job_id on `dispatch`, then by id in `jobs`.
 */
const CLAIM = new DayStatement(
  'claim_jobs',
  5,
  ({ jobs, pruned }) => `
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
asked AS MATERIALIZED (
  SELECT a.* FROM quick, unnest(${UNCOUNTED_IDS}, $2::int[], $3::uuid[], $4::uuid[], $5::boolean[])
    AS a(job_id, delivery, token, worker_id, started)
),
free AS MATERIALIZED (
  SELECT a.* FROM asked a JOIN dispatch d
    ON d.job_id = a.job_id AND (d.token = a.token OR (d.token IS NULL AND d.delivery = a.delivery))
  ORDER BY d.job_id
  FOR UPDATE OF d
),
taken AS (
  UPDATE dispatch d SET
    token = CASE WHEN ${HELD} THEN NULL ELSE a.token END,
    worker_id = CASE WHEN ${HELD} THEN NULL ELSE a.worker_id END,
    claimed_at = CASE WHEN ${HELD} THEN NULL ELSE coalesce(d.claimed_at, clock_timestamp()) END,
    pushed_at = CASE WHEN ${HELD} THEN NULL ELSE coalesce(d.pushed_at, now()) END,
    delivery = d.delivery + (${HELD})::int
  FROM free a
  WHERE d.job_id = a.job_id
  RETURNING a.token, d.token IS NULL AS held, d.job_id, d.crashes,
    (extract(epoch FROM d.claimed_at - d.run_at) * 1000)::float8 AS waited
)
SELECT t.token, t.held, t.crashes, t.waited,
  j.tenant, j.type, j.queue, j.data, j.run, j.attempts_made, j.max_attempts, j.backoff, j.timeout_ms
FROM taken t JOIN ${jobs} j ON j.id = t.job_id ${pruned}`,
);

/**
 * Current deliveries that may start with no claim on record: nothing is written, nothing locked. What has crashed, or would
 * expire before its claim comes, is left out.
 * Plan: one lookup of `dispatch` a delivery, by OFFSET: what it asks of a row seems to leave but one, and the table of some
 * thousand rows would be read first, and each of its rows compared with each delivery.
 */
const STARTABLE = new DayStatement(
  'startable_jobs',
  2,
  ({ jobs, pruned }) => `
SELECT a.nth::int, (extract(epoch FROM clock_timestamp() - d.run_at) * 1000)::float8 AS waited,
  j.tenant, j.type, j.queue, j.data, j.run, j.attempts_made, j.max_attempts, j.backoff, j.timeout_ms
FROM unnest(${UNCOUNTED_IDS}, $2::int[]) WITH ORDINALITY AS a(job_id, delivery, nth)
CROSS JOIN LATERAL (SELECT * FROM dispatch WHERE job_id = a.job_id OFFSET 0) d
JOIN ${jobs} j ON j.id = a.job_id ${pruned}
WHERE d.delivery = a.delivery AND num_nonnulls(d.token) = 0 AND d.crashes = 0 AND d.run_at <= now()
  AND coalesce(d.expires_at > now() + interval '1 s', true)
  AND d.queue <> ALL (ARRAY(SELECT queue FROM queue_pauses))`,
);

interface Payload {
  waited: number;
  tenant: string;
  type: string;
  queue: string;
  data: Json;
  run: number;
  attempts_made: number;
  max_attempts: number;
  backoff: Backoff;
  timeout_ms: number;
}

interface StartableRow extends Payload {
  nth: number;
}

interface ClaimedRow extends Payload {
  token: string;
  held: boolean;
  crashes: number;
}

/** Hands out the right to run an attempt: claims made at the same time share one statement. */
export class JobClaims {
  readonly #commits = new GroupCommit((requests: ClaimRequest[]) => this.flush(requests));

  constructor(private readonly database: DataSource) {}

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#commits.submit(request);
  }

  private async flush(requests: ClaimRequest[]): Promise<ClaimAnswer[]> {
    const deferred = await this.defer(requests.filter(({ deferrable }) => deferrable));
    const others = requests.filter((request) => !deferred.has(request));
    const claimed = others.length > 0 ? await this.claimNow(others) : undefined;
    return requests.map((request) => deferred.get(request) ?? toAnswer(claimed?.get(request.token), request));
  }

  private async defer(requests: ClaimRequest[]): Promise<Map<ClaimRequest, ClaimAnswer>> {
    const startable = new Map<ClaimRequest, ClaimAnswer>();
    if (requests.length === 0) return startable;
    const ids = requests.map(({ jobId }) => jobId);
    const deliveries = requests.map(({ delivery }) => delivery);
    const rows = await STARTABLE.rowsOf<StartableRow>(this.database, ids, [
      plainArray(ids),
      plainArray(deliveries),
    ]);
    for (const row of rows) {
      const request = requests[row.nth - 1];
      if (request) startable.set(request, { kind: 'claimed', claim: toClaim(row, request, 0, true) });
    }
    return startable;
  }

  /** By token, not by id: the queue may deliver one job twice into one batch, and only one of them has it. */
  private async claimNow(requests: ClaimRequest[]): Promise<Map<string, ClaimedRow>> {
    const asked = inOrder(requests);
    const ids = asked.map(({ jobId }) => jobId);
    const rows = await CLAIM.rowsOf<ClaimedRow>(this.database, ids, [
      ids,
      asked.map(({ delivery }) => delivery),
      asked.map(({ token }) => token),
      asked.map(({ workerId }) => workerId),
      asked.map(({ started }) => started === true),
    ]);
    return new Map(rows.map((row) => [row.token, row]));
  }
}

function toAnswer(row: ClaimedRow | undefined, request: ClaimRequest): ClaimAnswer {
  if (!row) return { kind: 'gone' };
  if (row.held) return { kind: 'held' };
  return { kind: 'claimed', claim: toClaim(row, request, row.crashes) };
}

function toClaim(
  row: Payload,
  { jobId, delivery, token }: ClaimRequest,
  crashes: number,
  deferred?: true,
): Claim {
  return {
    jobId,
    delivery,
    token,
    tenant: row.tenant,
    type: row.type,
    queue: row.queue,
    data: row.data,
    run: row.run,
    attempt: row.attempts_made + 1,
    attempts: row.max_attempts,
    backoff: row.backoff,
    timeout: row.timeout_ms,
    crashes,
    waited: row.waited,
    deferred,
  };
}
