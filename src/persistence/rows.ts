import type { DataSource } from 'typeorm';
import type { Job, JobError, JobProgress, JobStatus, Json, Backoff, TerminalStatus } from '../jobs/job.js';
import { shardOf } from '../jobs/shard.js';

/** Runs one statement and names the shape of its rows: the one place where what the driver gives is believed. */
export async function rowsOf<Row>(
  database: Pick<DataSource, 'query'>,
  sql: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  return database.query<Row[]>(sql, parameters);
}

/** Ids of a batch lie between these: with them PostgreSQL prunes the partitions before it plans. */
export function idRange(ids: readonly string[]): [least: string, greatest: string] {
  let [least = '', greatest = ''] = [ids[0], ids[0]];
  for (const id of ids) {
    if (id < least) least = id;
    if (id > greatest) greatest = id;
  }
  return [least, greatest];
}

/** What the names of a day's partitions end with; undefined where the range is of more days than one. */
export function daySuffixOf([least, greatest]: [least: string, greatest: string]): string | undefined {
  const day = timeOfId(least).toISOString().slice(0, 10);
  if (timeOfId(greatest).toISOString().slice(0, 10) !== day) return undefined;
  return `_${day.replaceAll('-', '')}`;
}

/** The moment of a UUIDv7, to the millisecond. */
export function timeOfId(id: string): Date {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}

/** The least UUIDv7 of a moment, as a bound. */
export function idFloor(at: Date): string {
  const hex = Math.max(0, at.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`;
}

/**
 * An array parameter of values that need no quotes (ids, numbers), written at once: the driver would look at each for what
 * must be escaped. The caller vouches for the ids: they come from the record, or were checked.
 */
export function plainArray(values: readonly (string | number | null | undefined)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}

/**
 * The ids of a batch ($1), for `unnest` in a statement that is prepared. PostgreSQL does not see how many they are: a plan for
 * one alone would look cheaper to it than the one it keeps, and it would plan at each call, which takes half a millisecond.
 */
export const UNCOUNTED_IDS = '(SELECT $1::uuid[])';

/** JSON text for a json column; SQL NULL for null. */
export function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

/** What a state that is not stored follows from. */
export const LIVENESS =
  'd.job_id IS NOT NULL AS live, d.token IS NOT NULL AS claimed, d.run_at > now() AS later';

export interface Liveness {
  status: TerminalStatus | null;
  live: boolean;
  claimed: boolean;
  later: boolean | null;
}

/** Columns of a job joined with its row in `dispatch` (`d`), where it has one. */
export const JOB_COLUMNS = `
  j.id, j.tenant, j.type, j.queue, j.data, j.priority, j.max_attempts, j.backoff, j.timeout_ms, j.run, j.attempts_made,
  j.status, j.result, j.error, j.finished_at, j.tags, j.expires_at, j.dedupe_key,
  coalesce(d.delivery, j.delivery) AS delivery, coalesce(d.progress, j.progress) AS progress,
  coalesce(d.run_at, j.run_at) AS run_at, coalesce(d.pushed_at, j.enqueued_at) AS enqueued_at,
  coalesce(d.claimed_at, j.started_at) AS started_at,
  ${LIVENESS}`;

export interface JobRow extends Liveness {
  id: string;
  tenant: string;
  type: string;
  queue: string;
  data: Json;
  priority: number;
  max_attempts: number;
  backoff: Backoff;
  timeout_ms: number;
  run: number;
  attempts_made: number;
  result: Json;
  error: JobError | null;
  finished_at: Date | null;
  tags: string[] | null;
  expires_at: Date | null;
  dedupe_key: string | null;
  delivery: number;
  progress: JobProgress | null;
  run_at: Date;
  enqueued_at: Date | null;
  started_at: Date | null;
}

export function toJob(row: JobRow, shards: number): Job {
  return {
    id: row.id,
    tenant: row.tenant,
    type: row.type,
    queue: row.queue,
    shard: shardOf(row.id, shards),
    status: statusOf(row),
    data: row.data,
    options: {
      priority: row.priority,
      attempts: row.max_attempts,
      backoff: row.backoff,
      timeout: row.timeout_ms,
    },
    tags: row.tags ?? [],
    expiresAt: row.expires_at,
    dedupeKey: row.dedupe_key,
    run: row.run,
    delivery: row.delivery,
    attemptsMade: row.attempts_made,
    progress: row.progress,
    result: row.result,
    error: row.error,
    createdAt: timeOfId(row.id),
    runAt: row.run_at,
    enqueuedAt: row.enqueued_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

/** A live state is not stored: it follows from the row in `dispatch` and the database's clock. */
export function statusOf({ live, claimed, later, status }: Liveness): JobStatus {
  if (!live) return status ?? 'failed';
  if (claimed) return 'active';
  return later ? 'delayed' : 'waiting';
}

/** In the order of their ids, in which all statements lock. */
export function inOrder<Item extends { jobId: string }>(items: readonly Item[]): Item[] {
  return items.toSorted((one, other) => (one.jobId < other.jobId ? -1 : one.jobId > other.jobId ? 1 : 0));
}
