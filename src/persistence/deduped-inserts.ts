import type { DataSource, EntityManager } from 'typeorm';
import type { SubmittedJob } from '../jobs/idempotency.js';
import { DuplicateJob } from '../jobs/job.errors.js';
import type { JobDraft } from '../jobs/job.js';
import { cancelAll } from './job-control.js';
import {
  columnsOf,
  type InsertedRow,
  JOB_INPUT,
  JOB_VALUES,
  LIVE_INPUT,
  LIVE_VALUES,
  newJob,
  TIMED,
  withPartitions,
} from './job-inserts.js';
import { JOB_COLUMNS, type JobRow, rowsOf, toJob } from './rows.js';

/**
 * The row in `dispatch` decides: the unique index over dedupe keys lets one in. Where another transaction has just
 * inserted the key, this one waits for its end. Keys are taken in one order.
 */
const INSERT_DEDUPED = `
WITH ${TIMED},
live AS (
  INSERT INTO dispatch (${LIVE_INPUT})
  SELECT ${LIVE_VALUES} FROM timed ORDER BY dedupe_key, ord
  ON CONFLICT (tenant, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
  RETURNING job_id
),
accepted AS MATERIALIZED (SELECT timed.* FROM timed JOIN live ON live.job_id = timed.id),
job AS (
  INSERT INTO jobs (${JOB_INPUT})
  SELECT ${JOB_VALUES} FROM accepted
)
SELECT id, run_at, ord::int FROM accepted`;

/** Plan: lookups in dispatch_dedupe, then by id. */
const HOLDERS = `
SELECT ${JOB_COLUMNS} FROM dispatch d JOIN jobs j ON j.id = d.job_id
WHERE d.tenant = $1 AND d.dedupe_key = ANY($2::text[])`;

/** Locked, so that nobody claims them before they are replaced. */
const LOCK_HOLDERS = `
SELECT job_id, dedupe_key, token IS NOT NULL AS active FROM dispatch
WHERE tenant = $1 AND dedupe_key = ANY($2::text[]) ORDER BY job_id FOR UPDATE`;

/** A holder may end between two looks at it; so often in a row it does not. */
const MOST_TRIES = 5;

/** The job that had the key ended before it could be answered: the next try may have the key. */
class HolderGone extends Error {}

/** Accepts requests in which a job has a dedupe key, each in a transaction of its own: it is accepted whole or not at all. */
export class DedupedInserts {
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
    private readonly ensurePartitions: () => Promise<void>,
  ) {}

  /**
   * @param drafts all of one tenant
   * @param outer an open transaction: the request then has a savepoint in it
   * @throws DuplicateJob
   */
  async insert(
    drafts: readonly JobDraft[],
    outer: Pick<DataSource, 'transaction'> = this.database,
  ): Promise<SubmittedJob[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await withPartitions(this.ensurePartitions, () =>
          outer.transaction((manager) => this.insertIn(manager, drafts)),
        );
      } catch (error) {
        if (!(error instanceof HolderGone) || tries === MOST_TRIES) throw error;
      }
    }
  }

  /** @throws DuplicateJob, HolderGone */
  private async insertIn(manager: EntityManager, drafts: readonly JobDraft[]): Promise<SubmittedJob[]> {
    const tenant = drafts[0]?.tenant ?? '';
    const replacing = keysOf(drafts.filter(({ onDuplicate }) => onDuplicate === 'replace'));
    if (replacing.length > 0) await this.cancelHolders(manager, tenant, replacing);

    const rows = await rowsOf<InsertedRow & { ord: number }>(manager, INSERT_DEDUPED, [
      ...columnsOf(drafts),
      this.shards,
    ]);
    const accepted = new Map(rows.map((row) => [row.ord - 1, row]));
    const refused = drafts.filter((_, index) => !accepted.has(index));
    const holders = refused.length > 0 ? await this.holders(manager, tenant, keysOf(refused)) : undefined;

    const jobs: SubmittedJob[] = [];
    for (const [index, draft] of drafts.entries()) {
      const row = accepted.get(index);
      const holder = holders?.get(draft.dedupeKey ?? '');
      if (row) jobs.push(newJob(draft, row, this.shards));
      else if (holder && draft.onDuplicate === 'return') jobs.push({ ...holder, duplicate: true });
      else if (holder) throw new DuplicateJob(draft.dedupeKey ?? '', holder.id);
      else throw new HolderGone();
    }
    return jobs;
  }

  private async cancelHolders(manager: EntityManager, tenant: string, keys: string[]): Promise<void> {
    const holders = await rowsOf<{ job_id: string; dedupe_key: string; active: boolean }>(
      manager,
      LOCK_HOLDERS,
      [tenant, keys],
    );
    const active = holders.find((holder) => holder.active);
    if (active) throw new DuplicateJob(active.dedupe_key, active.job_id);
    if (holders.length > 0)
      await cancelAll(
        manager,
        tenant,
        holders.map(({ job_id }) => job_id),
      );
  }

  private async holders(
    manager: EntityManager,
    tenant: string,
    keys: string[],
  ): Promise<Map<string, SubmittedJob>> {
    const rows = await rowsOf<JobRow>(manager, HOLDERS, [tenant, keys]);
    return new Map(rows.map((row) => [row.dedupe_key ?? '', toJob(row, this.shards)]));
  }
}

function keysOf(drafts: readonly JobDraft[]): string[] {
  return [...new Set(drafts.flatMap(({ dedupeKey }) => dedupeKey ?? []))];
}
