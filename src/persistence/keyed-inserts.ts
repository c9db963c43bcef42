import type { DataSource } from 'typeorm';
import type { Once, SubmittedJob } from '../jobs/idempotency.js';
import { IdempotencyInFlight, IdempotencyKeyReused } from '../jobs/job.errors.js';
import type { Job, JobDraft, JobOptions } from '../jobs/job.js';
import { isLockTimeout } from './database-error.js';
import { GroupCommit } from './group-commit.js';
import { acceptedFrom, columnsOf, type InsertedRow, newJob, TIMED, withPartitions } from './job-inserts.js';
import { rowsOf } from './rows.js';

/**
 * Keys first, in their order, so that two batches cannot deadlock; then the jobs of those keys alone that were new or had
 * expired. Where another transaction has just inserted a key, this one waits for its end. All are committed together.
 * Plan: a lookup a key in the primary key, a hash join over the parameters.
 */
const INSERT_KEYED = `
WITH ${TIMED},
keyed AS MATERIALIZED (
  SELECT t.*, k.key, k.fingerprint FROM timed t JOIN unnest($15::text[], $16::text[]) WITH ORDINALITY AS k(key, fingerprint, ord)
    ON k.ord = t.ord
),
won AS (
  INSERT INTO idempotency_keys AS known (tenant, key, fingerprint, jobs, expires_at)
  SELECT tenant, key, min(fingerprint), json_agg(json_build_object('id', id, 'runAt', run_at, 'queue', queue,
    'priority', priority, 'attempts', attempts, 'backoff', backoff::json, 'timeout', timeout) ORDER BY ord),
    now() + $17 * interval '1 ms'
  FROM keyed GROUP BY tenant, key ORDER BY tenant, key
  ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, jobs = excluded.jobs, created_at = excluded.created_at, expires_at = excluded.expires_at
  WHERE known.expires_at <= now()
  RETURNING tenant, key
),
accepted AS MATERIALIZED (SELECT k.* FROM keyed k JOIN won USING (tenant, key)),
${acceptedFrom('accepted')}
SELECT id, run_at, ord::int FROM accepted ORDER BY ord`;

/** Expired or not: whoever has lost against a key is answered by it. */
const KNOWN = `
SELECT a.ord::int, CASE WHEN k.fingerprint = a.fingerprint THEN k.jobs END AS jobs
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS a(tenant, key, fingerprint, ord)
JOIN idempotency_keys k ON k.tenant = a.tenant AND k.key = a.key`;

/** What of a job's first answer its request does not say, or says only together with the type's defaults of that day. */
export interface FirstAnswer extends JobOptions {
  id: string;
  runAt: string;
  queue: string;
}

interface KnownRow {
  ord: number;
  /** Null where the fingerprint is another. */
  jobs: FirstAnswer[] | null;
}

/** All drafts are of one tenant. */
interface Keyed {
  drafts: readonly JobDraft[];
  tenant: string;
  once: Once;
}

/**
 * Accepts jobs that have a key, once a key. They share statements with each other and not with those that have none:
 * a key that another process holds makes nobody else wait.
 */
export class KeyedInserts {
  /** Undefined for those whose key was taken: what is then answered is read apart, as an error there must undo nothing. */
  readonly #inserts: GroupCommit<Keyed, Job[] | undefined>;
  readonly #replays: GroupCommit<Keyed, KnownRow | undefined>;

  /** @param ttl how long a key is kept, in ms */
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
    private readonly ttl: number,
    private readonly ensurePartitions: () => Promise<void>,
  ) {
    const size = {
      rowsOf: ({ drafts }: Keyed) => drafts.length,
      bytesOf: ({ drafts }: Keyed) => drafts.reduce((bytes, { json }) => bytes + json.length, 0),
    };
    this.#inserts = new GroupCommit((requests) => this.flush(requests), size);
    this.#replays = new GroupCommit((requests) => this.find(requests), size);
  }

  /** @throws IdempotencyKeyReused, IdempotencyInFlight */
  async insert(drafts: readonly JobDraft[], once: Once): Promise<SubmittedJob[]> {
    const [first] = drafts;
    if (!first) return [];

    const request = { drafts, tenant: first.tenant, once };
    return (await this.insertFirst(request)) ?? this.replay(request);
  }

  private async insertFirst(request: Keyed): Promise<Job[] | undefined> {
    try {
      return await this.#inserts.submit(request);
    } catch (error) {
      throw isLockTimeout(error) ? new IdempotencyInFlight() : error;
    }
  }

  private async replay(request: Keyed): Promise<SubmittedJob[]> {
    const known = await this.#replays.submit(request);
    // Removed in the very moment: the next try finds it absent.
    if (!known) throw new IdempotencyInFlight();
    if (!known.jobs) throw new IdempotencyKeyReused();

    const { jobs } = known;
    return request.drafts.map((draft, index) => {
      const { id, runAt, queue, ...options } = jobs[index] as FirstAnswer;
      const row = { id, run_at: new Date(runAt) };
      return { ...newJob({ ...draft, queue, options }, row, this.shards), replayed: true };
    });
  }

  private async flush(requests: Keyed[]): Promise<(Job[] | undefined)[]> {
    const firsts = firstOfEachKey(requests);
    const drafts = firsts.flatMap((request) => request.drafts);
    const parameters = [
      ...columnsOf(drafts),
      this.shards,
      firsts.flatMap(({ drafts, once }) => drafts.map(() => once.key)),
      firsts.flatMap(({ drafts, once }) => drafts.map(() => once.fingerprint)),
      this.ttl,
    ];
    const rows = await withPartitions(this.ensurePartitions, () =>
      rowsOf<InsertedRow & { ord: number }>(this.database, INSERT_KEYED, parameters),
    );

    const byPlace = new Map(rows.map((row) => [row.ord, row]));
    let place = 0;
    const accepted = new Map(
      firsts.map((request) => {
        const jobs = request.drafts.flatMap((draft) => {
          const row = byPlace.get(++place);
          return row ? [newJob(draft, row, this.shards)] : [];
        });
        return [request, jobs.length > 0 ? jobs : undefined];
      }),
    );
    return requests.map((request) => accepted.get(request));
  }

  private async find(requests: Keyed[]): Promise<(KnownRow | undefined)[]> {
    const rows = await rowsOf<KnownRow>(this.database, KNOWN, [
      requests.map(({ tenant }) => tenant),
      requests.map(({ once }) => once.key),
      requests.map(({ once }) => once.fingerprint),
    ]);
    const byPlace = new Map(rows.map((row) => [row.ord, row]));
    return requests.map((_, index) => byPlace.get(index + 1));
  }
}

/** Where a batch holds a key twice, the second request finds it taken, as if it had come later. */
function firstOfEachKey(requests: readonly Keyed[]): Keyed[] {
  const firsts = new Map<string, Keyed>();
  for (const request of requests) {
    const place = JSON.stringify([request.tenant, request.once.key]);
    if (!firsts.has(place)) firsts.set(place, request);
  }
  return [...firsts.values()];
}
