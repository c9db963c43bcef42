import { randomUUID } from 'node:crypto';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Claim, JobRepository } from '../../src/jobs/job-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { within } from '../support/record-in-transaction.js';
import { connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

describe('what the record asks of PostgreSQL', () => {
  let database: DataSource;
  let jobs: JobRepository;

  beforeAll(async () => {
    const postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
    jobs = repositoryOn(database);
  });

  afterAll(() => database.destroy());

  const submit = async (count = 1) => jobs.insert(Array.from({ length: count }, () => aDraft()));
  const claim = async (id: string, record = jobs) => {
    const answer = await record.claim({
      jobId: id,
      delivery: 1,
      token: randomUUID(),
      workerId: randomUUID(),
    });
    if (answer.kind !== 'claimed') throw new Error(`The claim was answered with "${answer.kind}"`);
    return answer.claim;
  };
  const claimed = async (): Promise<Claim> => claim((await submit())[0]!.id);
  const failed = async (): Promise<string> => {
    const { jobId, token } = await claimed();
    const error = { code: 'HANDLER_ERROR', message: 'no route to host' };
    await jobs.settle({ jobId, token, outcome: 'failed', error });
    return jobId;
  };

  it('gives jobs the ids that uuid_v7 gives, in the order of submit', async () => {
    const ids = (await submit(1_000)).map(({ id }) => id);

    const times = ids.map((id) => id.slice(0, 18)); // two of one microsecond have no order
    expect(times).toEqual([...times].sort());
    const [made] = await database.query<Record<string, number>[]>(
      `SELECT count(*)::int AS jobs, count(DISTINCT right(id::text, 17))::int AS ends,
        count(*) FILTER (WHERE left(id::text, 18) = left(uuid_v7(run_at)::text, 18))::int AS timed,
        count(*) FILTER (WHERE id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')::int AS valid
       FROM jobs WHERE id = ANY($1)`,
      [ids],
    );
    expect(made).toEqual({ jobs: 1_000, ends: 1_000, timed: 1_000, valid: 1_000 });
  });

  const waitsForDisk = async (transaction: QueryRunner): Promise<boolean> => {
    const [{ setting }] = (await transaction.query(
      `SELECT current_setting('synchronous_commit') AS setting`,
    )) as [{ setting: string }];
    return setting === 'on';
  };

  it.each<[string, () => Promise<(record: JobRepository) => Promise<unknown>>]>([
    ['a submit', async () => (record) => record.insert([aDraft()])],
    [
      'a submit with a key',
      async () => (record) => record.insert([aDraft()], { key: randomUUID(), fingerprint: 'f' }),
    ],
    [
      'a submit with a dedupe key',
      async () => (record) => record.insert([aDraft({ dedupeKey: randomUUID() })]),
    ],
    [
      'a settlement',
      async () => {
        const { jobId, token } = await claimed();
        return (record) => record.settle({ jobId, token, outcome: 'completed', result: null });
      },
    ],
    [
      'a cancel',
      async () => {
        const [job] = await submit();
        return (record) => record.cancel('default', job!.id);
      },
    ],
    [
      'a retry',
      async () => {
        const id = await failed();
        return (record) => record.retry('default', id);
      },
    ],
  ])('%s waits for the disk, whatever the server is set to', async (_what, prepare) => {
    const work = await prepare();

    expect(await within(database, work, waitsForDisk, 'off')).toBe(true);
  });

  it('a claim does not wait for the disk', async () => {
    const [job] = await submit();

    expect(await within(database, (record) => claim(job!.id, record), waitsForDisk, 'on')).toBe(false);
  });

  it('a settlement touches no index of jobs', async () => {
    const claims = [await claimed(), await claimed(), await claimed()];
    const settleAll = (record: JobRepository) =>
      Promise.all(
        claims.map(({ jobId, token }) =>
          record.settle({ jobId, token, outcome: 'completed', result: { sent: true } }),
        ),
      );
    const updates = async (transaction: QueryRunner) => {
      const [counts] = (await transaction.query(`
        SELECT sum(pg_stat_get_xact_tuples_updated(inhrelid))::int AS updated,
          sum(pg_stat_get_xact_tuples_hot_updated(inhrelid))::int AS hot
        FROM pg_inherits WHERE inhparent = 'jobs'::regclass`)) as [{ updated: number; hot: number }];
      return counts;
    };

    const { updated, hot } = await within(database, settleAll, updates);
    expect(updated).toBeGreaterThanOrEqual(3);
    expect(hot).toBe(updated);
  });
});
