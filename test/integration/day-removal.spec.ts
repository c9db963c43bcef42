import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import { countDay } from '../../src/persistence/day-count.js';
import { indexEnds, isIndexed } from '../../src/persistence/day-ends.js';
import { DayRemoval, type Removal } from '../../src/persistence/day-removal.js';
import { retryAll } from '../../src/persistence/job-retries.js';
import type { Day } from '../../src/persistence/old-days.js';
import { saveRules, statusAges } from '../../src/persistence/retention-ages.js';
import type { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';
import {
  aType,
  DAY,
  dueDayOf,
  oldJobsOf,
  registryOf,
  rowsLeftOf,
  TABLES,
  type OldJobsOf,
} from '../support/old-jobs.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { connect, connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

const tenant = 'default';
const tenDays = statusAges({ days: 10, statusDays: {} });

describeRemoval('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeRemoval('PostgreSQL 15', 'system');

function describeRemoval(server: string, binaries: 'embedded' | 'system'): void {
  describe(`the removal of a day on ${server}`, () => {
    let postgres: PrivatePostgres;
    let database: DataSource;
    let neighbour: DataSource;
    let jobs: TypeOrmJobRepository;

    beforeAll(async () => {
      postgres = await startPostgres({ binaries });
      const original = await connectMigrated(await postgres.createDatabase('original'));
      await original.query('SELECT ensure_partitions(16, 1)');
      await original.destroy();
    });
    beforeEach(async () => {
      const url = await postgres.createDatabase(undefined, 'original');
      [database, neighbour] = [await connect(url), await connect(url)];
      jobs = repositoryOn(database);
    });
    afterEach(async () => {
      await database.destroy();
      await neighbour.destroy();
    });
    afterAll(() => postgres.stop());

    const history = (...of: OldJobsOf) => oldJobsOf(database, ...of);
    const rowsLeft = (id: string) => rowsLeftOf(database, id);
    const due = () => dueDayOf(database, 12, [10 * DAY]);
    const sweep = (day: Day, ages = tenDays) => new DayRemoval(database, ages).sweep(day);

    /** Sweeps the day while a transaction holds what it wrote, until that is waited for. */
    async function sweepDuring(
      day: Day,
      write: (transaction: QueryRunner) => Promise<unknown>,
    ): Promise<Removal> {
      const transaction = neighbour.createQueryRunner();
      await transaction.startTransaction();
      await write(transaction);
      let over = false;
      const removing = sweep(day).finally(() => (over = true));
      while (!over && (await locksWaitedFor()) === 0) await sleep(5);
      await transaction.commitTransaction();
      await transaction.release();
      return removing;
    }

    async function locksWaitedFor(): Promise<number> {
      return (await neighbour.query<unknown[]>('SELECT FROM pg_locks WHERE NOT granted')).length;
    }

    /** As a worker leaves a job. */
    async function failAgain(transaction: QueryRunner, id: string): Promise<void> {
      await transaction.query('DELETE FROM dispatch WHERE job_id = $1', [id]);
      await transaction.query(`UPDATE jobs SET status = 'failed', finished_at = now() WHERE id = $1`, [id]);
      await transaction.query(
        `INSERT INTO dead_letters (job_id, tenant, status, type, queue)
         SELECT id, tenant, status, type, queue FROM jobs WHERE id = $1`,
        [id],
      );
    }

    it('judges each job by its own rule and its own end', async () => {
      const types = [aType('ledger', '3650d'), aType('chatty', '5d')];
      await saveRules(database, registryOf(types).all());
      const gone = [
        ...(await history(12, 'completed', { count: 9 })),
        ...(await history(12, 'failed', { count: 2 })),
        ...(await history(12, 'completed', { type: 'chatty', count: 3, finishedDaysAgo: 6 })),
        ...(await history(12, 'cancelled', { type: 'chatty', finishedDaysAgo: 6 })),
      ];
      const [live] = await history(12, 'failed');
      await jobs.retry(tenant, live!);
      const kept = [
        live!,
        ...(await history(12, 'completed', { type: 'ledger', count: 2 })),
        ...(await history(12, 'completed', { finishedDaysAgo: 6 })),
        ...(await history(12, 'failed', { finishedDaysAgo: 6 })),
        ...(await history(12, 'completed', { type: 'chatty', finishedDaysAgo: 4 })),
        ...(await history(12, 'failed', { type: 'chatty', finishedDaysAgo: 4 })),
      ];
      const day = await due();

      const counted = await countDay(database, day.name, tenDays);
      expect(counted).toEqual({ completed: 12, dead: 3, kept: 7, leaving: 7 });
      const left = { name: `${day.name}_kept`, again: true };
      expect(await sweep(day)).toEqual({ removed: 15, moved: 7, dropped: true, left });

      for (const id of gone) expect(await rowsLeft(id)).toEqual([]);
      for (const id of kept) expect(await rowsLeft(id)).toEqual(expect.arrayContaining(TABLES));
    });

    it('comes no more for what is kept for ever', async () => {
      await history(12, 'completed', { count: 3 });
      const kept = await history(12, 'cancelled', { count: 2 });
      const ages = statusAges({ days: 10, statusDays: { cancelled: 0 } });

      expect(await sweep(await due(), ages)).toMatchObject({ removed: 3, moved: 2, left: { again: false } });

      for (const id of kept) expect(await rowsLeft(id)).toEqual([...TABLES, 'dead_letters']);
    });

    it('leaves a day alone of which everything is kept for ever', async () => {
      const [id] = await history(12, 'completed');
      const ages = statusAges({ days: 0, statusDays: {} });
      const day = await due();

      const left = { name: day.name, again: false };
      expect(await sweep(day, ages)).toEqual({ removed: 0, moved: 0, dropped: false, left });

      expect(await rowsLeft(id!)).toEqual(TABLES);
    });

    it.each(['waits', 'has failed again'])(
      'does not drop a day with a job that was retried after it was looked at, and %s',
      async (since) => {
        const [id, other] = await history(12, 'failed', { count: 2 });
        await history(12, 'completed', { count: 5 });

        const removal = await sweepDuring(await due(), async (transaction) => {
          await retryAll(transaction, 1, tenant, [id!]);
          if (since === 'has failed again') await failAgain(transaction, id!);
        });

        expect(removal).toMatchObject({ removed: 6, moved: 1, dropped: true, left: { again: true } });
        expect(await rowsLeft(other!)).toEqual([]);
        expect(await rowsLeft(id!)).toEqual(expect.arrayContaining(TABLES));
        const status = since === 'waits' ? 'waiting' : 'failed';
        expect(await jobs.find(tenant, id!)).toMatchObject({ status, run: 2 });
      },
    );

    /** As soon as their dead letters are about to go. */
    function retryMeanwhile(ids: string[]): void {
      const query = database.query.bind(database);
      let retried: unknown;
      jest.spyOn(database, 'query').mockImplementation(async (...args) => {
        if (args[0].includes('DELETE FROM dead_letters'))
          retried ??= await retryAll(neighbour, 1, tenant, ids);
        return query(...args);
      });
    }

    it('keeps a job that is retried in a day of which others are moved', async () => {
      const [id] = await history(12, 'failed');
      await history(12, 'completed', { count: 5 });
      await history(12, 'completed', { finishedDaysAgo: 3 });
      const day = await due();
      retryMeanwhile([id!]);

      expect(await sweep(day)).toMatchObject({ removed: 5, moved: 2, dropped: true });

      expect(await jobs.find(tenant, id!)).toMatchObject({ status: 'waiting', run: 2 });
    });

    it('gives up, with everything in its place, where more are retried meanwhile than can be moved', async () => {
      const retried = await history(12, 'failed', { count: 2 });
      const [late] = await history(12, 'completed', { finishedDaysAgo: 3 });
      const [old] = await history(12, 'completed', { count: 5 });
      const day = await due();
      retryMeanwhile(retried);

      const removal = new DayRemoval(database, tenDays, () => false, 2);
      await expect(removal.sweep(day)).rejects.toThrow('counted anew');

      for (const id of [...retried, late!, old!])
        expect(await rowsLeft(id)).toEqual(expect.arrayContaining(TABLES));
      expect(await removal.sweep(day)).toMatchObject({ removed: 5, moved: 0, dropped: false });
      for (const id of [...retried, late!])
        expect(await rowsLeft(id)).toEqual(expect.arrayContaining(TABLES));
    });

    it('moves nothing a second time where a job is retried as the rest of its day goes', async () => {
      const [id] = await history(12, 'failed');
      const [late] = await history(12, 'completed', { finishedDaysAgo: 9 });
      await history(12, 'completed', { count: 3 });
      await sweep(await due(), statusAges({ days: 10, statusDays: { failed: 20 } }));
      await database.query(`UPDATE jobs SET finished_at = now() - interval '11 days'`);
      const rest = await due();
      expect(rest).toMatchObject({ remainder: true });

      const left = { name: rest.name, again: true };
      expect(await sweepDuring(rest, (transaction) => retryAll(transaction, 1, tenant, [id!]))).toEqual({
        removed: 1,
        moved: 0,
        dropped: false,
        left,
      });

      expect(await rowsLeft(late!)).toEqual([]);
      expect(await jobs.find(tenant, id!)).toMatchObject({ status: 'waiting', run: 2 });
    });

    it('removes dead letters beforehand where they are many', async () => {
      await history(12, 'failed', { count: 10_001 });

      expect(await sweep(await due())).toEqual({ removed: 10_001, moved: 0, dropped: true });

      expect(await database.query('SELECT FROM dead_letters')).toEqual([]);
    });

    describe('by an index of when its jobs ended', () => {
      /** Rows that go unseen tell whether the day was read. */
      async function indexed(): Promise<Day> {
        await history(12, 'completed', { count: 10 });
        const day = await due();
        expect(await indexEnds(database, day.name)).toBe(true);
        await database.query(`DELETE FROM ${day.name} WHERE id = (SELECT max(id::text)::uuid FROM jobs)`);
        return day;
      }

      it('drops a day unread, with its dead letters', async () => {
        const dead = await history(12, 'failed', { count: 3 });

        expect(await sweep(await indexed())).toEqual({ removed: 13, moved: 0, dropped: true });

        expect(await rowsLeft(dead[0]!)).toEqual([]);
        expect(await database.query('SELECT FROM dead_letters')).toEqual([]);
      });

      it.each<[string, OldJobsOf]>([
        ['completed late', [12, 'completed', { finishedDaysAgo: 9 }]],
        ['failed late', [12, 'failed', { finishedDaysAgo: 9 }]],
        ['is of a type that is kept for longer', [12, 'completed', { type: 'ledger' }]],
        ['failed, and is of a type that is then kept for longer', [12, 'failed', { type: 'fragile' }]],
      ])('reads a day of which one %s, and keeps that', async (_, one) => {
        await saveRules(
          database,
          registryOf([aType('ledger', '20d'), aType('fragile', { failed: '20d' })]).all(),
        );
        const [id] = await history(...one);

        expect(await sweep(await indexed())).toMatchObject({ removed: 9, moved: 1, dropped: true });

        expect(await rowsLeft(id!)).toEqual(expect.arrayContaining(TABLES));
      });

      it.each(['before it is looked at', 'while its letter is about to go'])(
        'keeps a job that is retried %s',
        async (when) => {
          const [id] = await history(12, 'failed');
          const day = await indexed();
          const retry = (transaction: QueryRunner) => retryAll(transaction, 1, tenant, [id!]);
          if (when === 'before it is looked at') await jobs.retry(tenant, id!);

          const removal = await (when === 'before it is looked at' ? sweep(day) : sweepDuring(day, retry));

          expect(removal).toMatchObject({ removed: 9, moved: 1, dropped: true });
          expect(await jobs.find(tenant, id!)).toMatchObject({ status: 'waiting', run: 2 });
        },
      );

      it('makes it once', async () => {
        const { name } = await indexed();
        expect(await isIndexed(database, name)).toBe(true);
        expect(await indexEnds(database, name)).toBe(false);
      });

      it('stops when told to while it waits for another transaction, and then makes it anew', async () => {
        await history(12, 'completed');
        const { name } = await due();
        const transaction = neighbour.createQueryRunner();
        await transaction.startTransaction();
        await transaction.query(`LOCK TABLE ${name} IN ROW EXCLUSIVE MODE`);
        const stop = new AbortController();
        const making = indexEnds(database, name, stop.signal);
        const refused = expect(making).rejects.toThrow('user request');
        while ((await locksWaitedFor()) === 0) await sleep(5);
        expect(await isIndexed(neighbour, name)).toBe(false);

        stop.abort();
        await refused;
        await transaction.commitTransaction();
        await transaction.release();

        expect(await indexEnds(database, name)).toBe(true);
        expect(await isIndexed(database, name)).toBe(true);
      });

      it('leaves its session as it was', async () => {
        const limits = () =>
          database.query(`SELECT name, setting FROM pg_settings WHERE name LIKE '%_timeout' ORDER BY name`);
        const before: unknown = await limits();
        await indexed();
        for (let n = 0; n < 10; n++) expect(await limits()).toEqual(before);
      });
    });

    it('drops a day that nobody used', async () => {
      const day = await due();
      const nothing = { completed: 0, dead: 0, kept: 0, leaving: 0 };
      expect(await countDay(database, day.name, tenDays)).toEqual(nothing);

      expect(await sweep(day)).toEqual({ removed: 0, moved: 0, dropped: true });
    });
  });
}
