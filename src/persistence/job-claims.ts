import type { DataSource } from 'typeorm';
import type { ClaimAnswer, ClaimRequest } from '../jobs/job-repository.js';
import type { Backoff, Json } from '../jobs/job.js';
import { DayStatement } from './day-statement.js';
import { GroupCommit } from './group-commit.js';
import { inOrder } from './rows.js';

/** Why a current delivery may not start yet. */
const HELD = `d.token IS NULL AND (
      d.run_at > now() OR coalesce(d.expires_at <= now(), false)
        OR d.queue = ANY (ARRAY(SELECT queue FROM queue_pauses))
    )`;

/**
 * Rows are asked for, and so locked, in the order of their ids, so that two batches do not deadlock. The commit need not
 * wait for the disk: a claim that a crash of PostgreSQL takes back is asked for again at settlement.
 * Plan: index lookups by job_id on `dispatch`, then by id in `jobs`.
 */
const CLAIM = new DayStatement(
  'claim_jobs',
  4,
  ({ jobs, pruned }) => `
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
asked AS MATERIALIZED (
  SELECT a.* FROM quick, unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[]) AS a(job_id, delivery, token, worker_id)
),
taken AS (
  UPDATE dispatch d SET
    token = CASE WHEN ${HELD} THEN NULL ELSE a.token END,
    worker_id = CASE WHEN ${HELD} THEN NULL ELSE a.worker_id END,
    claimed_at = CASE WHEN ${HELD} THEN NULL ELSE coalesce(d.claimed_at, clock_timestamp()) END,
    pushed_at = CASE WHEN ${HELD} THEN NULL ELSE coalesce(d.pushed_at, now()) END,
    delivery = d.delivery + (${HELD})::int
  FROM asked a
  WHERE d.job_id = a.job_id AND (d.token = a.token OR (d.token IS NULL AND d.delivery = a.delivery))
  RETURNING a.token, d.token IS NULL AS held, d.job_id, d.delivery, d.crashes,
    (extract(epoch FROM d.claimed_at - d.run_at) * 1000)::float8 AS waited
)
SELECT t.token, t.held, t.job_id, t.delivery, t.crashes, t.waited,
  j.tenant, j.type, j.queue, j.data, j.run, j.attempts_made, j.max_attempts, j.backoff, j.timeout_ms
FROM taken t JOIN ${jobs} j ON j.id = t.job_id ${pruned}`,
);

interface ClaimedRow {
  token: string;
  held: boolean;
  job_id: string;
  delivery: number;
  crashes: number;
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

/** Hands out the right to run an attempt: claims made at the same time share one statement. */
export class JobClaims {
  readonly #commits = new GroupCommit((requests: ClaimRequest[]) => this.flush(requests));

  constructor(private readonly database: DataSource) {}

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#commits.submit(request);
  }

  private async flush(requests: ClaimRequest[]): Promise<ClaimAnswer[]> {
    const asked = inOrder(requests);
    const ids = asked.map(({ jobId }) => jobId);
    const rows = await CLAIM.rowsOf<ClaimedRow>(this.database, ids, [
      ids,
      asked.map(({ delivery }) => delivery),
      asked.map(({ token }) => token),
      asked.map(({ workerId }) => workerId),
    ]);

    // By token, not by id: the queue may deliver one job twice into one batch, and only one of them has it.
    const byToken = new Map(rows.map((row) => [row.token, row]));
    return requests.map(({ token }) => toAnswer(byToken.get(token)));
  }
}

function toAnswer(row: ClaimedRow | undefined): ClaimAnswer {
  if (!row) return { kind: 'gone' };
  if (row.held) return { kind: 'held' };
  return {
    kind: 'claimed',
    claim: {
      jobId: row.job_id,
      delivery: row.delivery,
      token: row.token,
      tenant: row.tenant,
      type: row.type,
      queue: row.queue,
      data: row.data,
      run: row.run,
      attempt: row.attempts_made + 1,
      attempts: row.max_attempts,
      backoff: row.backoff,
      timeout: row.timeout_ms,
      crashes: row.crashes,
      waited: row.waited,
    },
  };
}
