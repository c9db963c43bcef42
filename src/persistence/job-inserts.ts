import type { DataSource, EntityManager } from 'typeorm';
import type { Job, JobDraft } from '../jobs/job.js';
import { shardOf } from '../jobs/shard.js';
import { sqlStateOf } from './database-error.js';
import { GroupCommit } from './group-commit.js';
import { PreparedStatement } from './prepared-statement.js';
import { rowsOf, timeOfId } from './rows.js';

/** What `uuid_v7` gives, of `us`: microseconds since 1970. A call of it a row costs as much as the job's row itself. */
const ID = `(lpad(to_hex(us / 1000 * 65536 + 28672 + us % 1000 * 4096 / 1000), 16, '0')
    || right(gen_random_uuid()::text, 17))::uuid`;

/** The drafts as they came, with ids by the database's clock in their order. Each time is looked up once: OFFSET sees to it. */
export const TIMED = `
durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true)),
input AS MATERIALIZED (
  SELECT t.*, (date_part('epoch', t.at) * 1000000)::bigint AS us
  FROM (
    SELECT clock_timestamp() AS at, i.*
    FROM durable, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::text[],
      $8::int[], $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::json[])
      WITH ORDINALITY AS i(tenant, type, queue, data, priority, attempts, backoff, timeout, delay, run_at, expires_at, dedupe_key, tags, ord)
    OFFSET 0
  ) t
),
timed AS MATERIALIZED (
  SELECT ${ID} AS id, i.tenant, i.type, i.queue, i.data, i.priority, i.attempts, i.backoff, i.timeout, i.ord,
    coalesce(i.run_at, i.at + i.delay * interval '1 ms', i.at) AS run_at, i.expires_at, i.dedupe_key,
    CASE WHEN i.tags IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(i.tags)) END AS tags
  FROM input i
)`;

export const JOB_INPUT =
  'id, tenant, type, queue, data, priority, max_attempts, backoff, timeout_ms, run_at, expires_at, dedupe_key, tags';
export const JOB_VALUES =
  'id, tenant, type, queue, data::json, priority, attempts, backoff::json, timeout, run_at, expires_at, dedupe_key, tags';
export const LIVE_INPUT = 'job_id, tenant, type, queue, shard, priority, run_at, expires_at, dedupe_key';
export const LIVE_VALUES =
  'id, tenant, type, queue, job_shard(id, $14), priority, run_at, expires_at, dedupe_key';

/** `jobs` and `dispatch`: both or neither. @param from the rows of `timed` that are accepted */
export const acceptedFrom = (from: string): string => `
job AS (
  INSERT INTO jobs (${JOB_INPUT})
  SELECT ${JOB_VALUES} FROM ${from}
),
live AS (
  INSERT INTO dispatch (${LIVE_INPUT})
  SELECT ${LIVE_VALUES} FROM ${from}
)`;

/** Plan: one pass over the parameters, no lookup. */
const INSERT = `
WITH ${TIMED}, ${acceptedFrom('timed')}
SELECT id, run_at FROM timed ORDER BY ord`;

const PREPARED_INSERT = new PreparedStatement('insert_jobs', INSERT);

export interface InsertedRow {
  id: string;
  run_at: Date;
}

/** Accepts jobs: requests made at the same time share one statement; each request is committed whole or not at all. */
export class JobInserts {
  readonly #commits: GroupCommit<readonly JobDraft[], Job[]>;

  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
    private readonly ensurePartitions: () => Promise<void>,
  ) {
    this.#commits = new GroupCommit((requests) => this.flush(requests), {
      rowsOf: (drafts) => drafts.length,
      bytesOf: (drafts) => drafts.reduce((bytes, { json }) => bytes + json.length, 0),
    });
  }

  insert(drafts: readonly JobDraft[]): Promise<Job[]> {
    return this.#commits.submit(drafts);
  }

  /** In a statement of its own. */
  async insertIn(manager: EntityManager, drafts: readonly JobDraft[]): Promise<Job[]> {
    const rows = await rowsOf<InsertedRow>(manager, INSERT, [...columnsOf(drafts), this.shards]);
    return drafts.map((draft, index) => newJob(draft, rows[index] as InsertedRow, this.shards));
  }

  private async flush(requests: (readonly JobDraft[])[]): Promise<Job[][]> {
    const drafts = requests.flat();
    const parameters = [...columnsOf(drafts), this.shards];
    const rows = await withPartitions(this.ensurePartitions, () =>
      PREPARED_INSERT.rowsOf<InsertedRow>(this.database, parameters),
    );

    let next = 0;
    return requests.map((request) =>
      request.map((draft) => newJob(draft, rows[next++] as InsertedRow, this.shards)),
    );
  }
}

/** $1 to $13 of TIMED. */
export function columnsOf(drafts: readonly JobDraft[]): unknown[][] {
  return [
    drafts.map(({ tenant }) => tenant),
    drafts.map(({ type }) => type),
    drafts.map(({ queue }) => queue),
    drafts.map(({ json }) => json),
    drafts.map(({ options }) => options.priority),
    drafts.map(({ options }) => options.attempts),
    drafts.map(({ options }) => JSON.stringify(options.backoff)),
    drafts.map(({ options }) => options.timeout),
    drafts.map(({ delay }) => delay ?? null),
    drafts.map(({ runAt }) => runAt?.toISOString() ?? null),
    drafts.map(({ expiresAt }) => expiresAt?.toISOString() ?? null),
    drafts.map(({ dedupeKey }) => dedupeKey ?? null),
    drafts.map(({ tags }) => (tags?.length ? JSON.stringify(tags) : null)),
  ];
}

/** Makes the partition that an insert finds missing, and inserts again. */
export async function withPartitions<T>(ensure: () => Promise<void>, insert: () => Promise<T>): Promise<T> {
  try {
    return await insert();
  } catch (error) {
    if (!isPartitionMissing(error)) throw error;
    await ensure();
    return insert();
  }
}

function isPartitionMissing(error: unknown): boolean {
  return (
    sqlStateOf(error) === '23514' &&
    error instanceof Error &&
    error.message.includes('no partition of relation')
  );
}

/** As it was when it was accepted, whatever has become of it since. */
export function newJob(draft: JobDraft, row: InsertedRow, shards: number): Job {
  const { tenant, type, queue, data, options, tags = [], expiresAt = null, dedupeKey = null } = draft;
  const createdAt = timeOfId(row.id);
  return {
    id: row.id,
    tenant,
    type,
    queue,
    shard: shardOf(row.id, shards),
    status: row.run_at > createdAt ? 'delayed' : 'waiting',
    data,
    options,
    tags: [...tags],
    expiresAt,
    dedupeKey,
    run: 1,
    delivery: 1,
    attemptsMade: 0,
    progress: null,
    result: null,
    error: null,
    createdAt,
    runAt: row.run_at,
    enqueuedAt: null,
    startedAt: null,
    finishedAt: null,
  };
}
