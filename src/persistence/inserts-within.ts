import { type DataSource, EntityManager } from 'typeorm';
import type { SubmittedJob } from '../jobs/idempotency.js';
import type { JobDraft } from '../jobs/job.js';
import type { DedupedInserts } from './deduped-inserts.js';
import { type JobInserts, withPartitions } from './job-inserts.js';

/**
 * Accepts jobs inside a transaction that another part of the process has begun, and ends. Each request has a savepoint:
 * one that is refused leaves the transaction as it was.
 */
export class InsertsWithin {
  /** The last request of each transaction: those made at the same time would take each other's savepoints. */
  readonly #last = new WeakMap<object, Promise<unknown>>();

  constructor(
    private readonly database: DataSource,
    private readonly inserts: JobInserts,
    private readonly dedupedInserts: DedupedInserts,
    private readonly ensurePartitions: () => Promise<void>,
  ) {}

  /** @param drafts all of one tenant where one has a dedupe key @throws DuplicateJob, TypeError */
  async insert(transaction: unknown, drafts: readonly JobDraft[]): Promise<SubmittedJob[]> {
    const [outer, session] = this.opened(transaction);
    const before = this.#last.get(session) ?? Promise.resolve();
    const inserted = before.then(() => this.insertIn(outer, drafts));
    this.#last.set(
      session,
      inserted.catch(() => undefined),
    );
    return inserted;
  }

  private async insertIn(outer: EntityManager, drafts: readonly JobDraft[]): Promise<SubmittedJob[]> {
    if (drafts.some(({ dedupeKey }) => dedupeKey !== undefined))
      return this.dedupedInserts.insert(drafts, outer);

    return withPartitions(this.ensurePartitions, () =>
      outer.transaction((manager) => this.inserts.insertIn(manager, drafts)),
    );
  }

  /** Anything else would commit by itself, or elsewhere. @throws TypeError */
  private opened(transaction: unknown): [EntityManager, session: object] {
    if (transaction instanceof EntityManager && transaction.dataSource === this.database) {
      const { queryRunner } = transaction;
      if (queryRunner?.isTransactionActive) return [transaction, queryRunner];
    }
    throw new TypeError('manager must be the EntityManager of an open transaction in the record’s database');
  }
}
