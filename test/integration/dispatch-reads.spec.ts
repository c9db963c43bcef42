import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { within } from '../support/record-in-transaction.js';
import { connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

const ON_RECORD = 9_000;
const ASKED = 340;

/** A session plans a prepared statement so often before it keeps a plan, which must do for batches of any size. */
const UNTIL_KEPT = 7;

/** Before that, others may read the table once; this one would compare each of its rows with all that is asked for. */
const AT_FIRST = 'a start without a claim';

/** A statement may look up a row again to write it. */
const LOOKUPS = 3;

/**
 * As an installation is in its first minutes: some thousand jobs, and no statistics yet. A plan that reads the table, or the
 * index over all that waits, costs up to a hundred times what is asked for.
 */
describe('what is read of a dispatch without statistics', () => {
  let database: DataSource;
  let ids: string[];
  const workerId = randomUUID();

  beforeAll(async () => {
    const postgres = await startPostgres({ settings: { autovacuum: 'off' } });
    database = await connectMigrated(await postgres.createDatabase());
    const jobs = repositoryOn(database);
    const all: string[] = [];
    while (all.length < ON_RECORD) {
      const made = await jobs.insert(Array.from({ length: 1_000 }, () => aDraft()));
      all.push(...made.map(({ id }) => id));
    }
    await sleep(500); // what is fresh is not the relay's yet
    ids = all.filter((_id, at) => at % 26 === 0).slice(0, ASKED);
  });

  afterAll(() => database.destroy());

  /** Rows of `dispatch` that the session has fetched so far, by whatever path. */
  const fetched = async (transaction: QueryRunner): Promise<number> => {
    const [row] = (await transaction.query(
      `SELECT (seq_tup_read + idx_tup_fetch)::int AS fetched FROM pg_stat_xact_user_tables WHERE relname = 'dispatch'`,
    )) as [{ fetched: number }];
    return row.fetched;
  };
  const tokens = new Map<string, string>();
  const tokenOf = (id: string): string => {
    const token = tokens.get(id) ?? randomUUID();
    tokens.set(id, token);
    return token;
  };
  const claimAll = (record: JobRepository, deferrable: boolean) =>
    Promise.all(
      ids.map(async (jobId) => {
        const request = { jobId, delivery: 1, token: tokenOf(jobId), workerId, deferrable };
        return (await record.claim(request)).kind === 'claimed';
      }),
    );
  const start = { delivery: 1, workerId, ran: 1 };
  const failure = {
    outcome: 'failed',
    error: { code: 'HANDLER_ERROR', message: 'no route to host' },
  } as const;

  it.each<[string, (record: JobRepository) => Promise<unknown[]>]>([
    [AT_FIRST, (record) => claimAll(record, true)],
    ['a claim', (record) => claimAll(record, false)],
    [
      'a completion without a claim',
      (record) =>
        Promise.all(
          ids.map((jobId) =>
            record.settle({ jobId, token: tokenOf(jobId), outcome: 'completed', result: null, start }),
          ),
        ),
    ],
    [
      'a failure',
      (record) =>
        Promise.all(ids.map((jobId) => record.settle({ jobId, token: tokenOf(jobId), start, ...failure }))),
    ],
    [
      'a back-off',
      (record) =>
        Promise.all(
          ids.map((jobId) =>
            record.settle({ jobId, token: tokenOf(jobId), start, ...failure, retryIn: 1_000 }),
          ),
        ),
    ],
    ['a mark', (record) => record.markPushed(ids.map((jobId) => ({ jobId, delivery: 1 })))],
    ['the relay', (record) => record.due({ queue: 'default', shard: 0 }, ASKED)],
  ])('%s looks up its own rows', async (what, work) => {
    const rows: number[] = [];
    for (let call = 0; call < UNTIL_KEPT; call++) {
      let before = 0;
      let answers: unknown[] = [];
      const after = await within(
        database,
        async (record, transaction) => {
          before = await fetched(transaction);
          answers = await work(record);
        },
        fetched,
      );
      expect(answers).toHaveLength(ASKED);
      expect(answers).not.toContain(false);
      rows.push(after - before);
    }

    const judged = what === AT_FIRST ? rows : rows.slice(-1);
    expect(Math.min(...judged)).toBeGreaterThanOrEqual(ASKED);
    expect(Math.max(...judged)).toBeLessThanOrEqual(LOOKUPS * ASKED);
  });
});
