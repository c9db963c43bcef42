import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { AppConfig } from '../../src/config/app-config.js';
import type { JobTypeOptions } from '../../src/job-types/job-type.js';
import { OldJobs } from '../../src/persistence/old-jobs.js';
import { idFloor } from '../../src/persistence/rows.js';
import type { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';
import { aDraft } from '../support/job-drafts.js';
import {
  aType,
  DAY,
  oldJobsOf,
  registryOf,
  rowsLeftOf,
  TABLES,
  type OldJobsOf,
} from '../support/old-jobs.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { connect, connectMigrated, recordConfig, repositoryOn } from '../support/record-on-postgres.js';

const tenant = 'default';

describeRetention('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeRetention('PostgreSQL 15', 'system');

function describeRetention(server: string, binaries: 'embedded' | 'system'): void {
  describe(`retention on ${server}`, () => {
    let postgres: PrivatePostgres;
    let database: DataSource;
    let neighbour: DataSource;
    let jobs: TypeOrmJobRepository;

    beforeAll(async () => {
      Logger.overrideLogger(false);
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

    const oldJobs = (
      retention: Partial<AppConfig['retention']>,
      on = database,
      types: JobTypeOptions[] = [],
    ) => {
      const settings = { days: 0, statusDays: {}, ...retention };
      return new OldJobs(on, registryOf(types), { ...recordConfig(''), retention: settings });
    };

    const history = (...of: OldJobsOf) => oldJobsOf(database, ...of);
    const rowsLeft = (id: string) => rowsLeftOf(database, id);

    /** A job that is not over, as old as that. */
    async function live(daysAgo: number): Promise<string> {
      const [id] = await history(daysAgo, 'failed');
      await jobs.retry(tenant, id!);
      return id!;
    }

    const partitions = async (daysAgo: number): Promise<string[]> => {
      const suffix = new Date(Date.now() - daysAgo * DAY).toISOString().slice(0, 10).replaceAll('-', '');
      const rows = await database.query<{ name: string }[]>(
        `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relname LIKE $1 AND c.relkind = 'r' ORDER BY 1`,
        [`job%${suffix}%`],
      );
      return rows.map(({ name }) => name.replace(suffix, 'DAY'));
    };

    it('keeps everything where nothing is said', async () => {
      const [id] = await history(15, 'completed');

      expect(await oldJobs({}).remove()).toBe(0);

      expect(await jobs.find(tenant, id!)).toMatchObject({ status: 'completed' });
    });

    it('drops a day whose jobs are all over and old, with all that belongs to them', async () => {
      const gone = [
        ...(await history(12, 'completed', { count: 50 })),
        ...(await history(12, 'failed', { count: 5 })),
        ...(await history(12, 'cancelled')),
      ];
      const [kept] = await history(5, 'completed');

      expect(await oldJobs({ days: 10 }).remove()).toBe(56);

      expect(await partitions(12)).toEqual([]);
      for (const id of [gone[0]!, gone[50]!, gone[55]!]) {
        expect(await jobs.find(tenant, id)).toBeUndefined();
        expect(await jobs.history(tenant, id)).toBeUndefined();
        expect(await jobs.retry(tenant, id)).toBeUndefined();
        expect(await rowsLeft(id)).toEqual([]);
      }
      expect(await jobs.find(tenant, kept!)).toMatchObject({ status: 'completed' });
      expect(await partitions(5)).toHaveLength(4);
    });

    it('keeps a day until all of it is old enough', async () => {
      const [id] = await history(10, 'completed');

      await oldJobs({ days: 10 }).remove();

      expect(await rowsLeft(id!)).toEqual(TABLES);
    });

    it('moves jobs that are not over out of a day before it is dropped, and they run on', async () => {
      const [gone] = await history(12, 'completed', { count: 10 });
      const id = await live(12);

      expect(await oldJobs({ days: 10 }).remove()).toBe(10);

      expect(await partitions(12)).toEqual(TABLES.map((table) => `${table}_DAY_kept`).sort());
      expect(await rowsLeft(gone!)).toEqual([]);
      expect(await rowsLeft(id)).toEqual(TABLES);
      const job = (await jobs.find(tenant, id))!;
      expect(job).toMatchObject({ status: 'waiting', run: 2 });

      const token = crypto.randomUUID();
      await jobs.claim({ jobId: id, delivery: job.delivery, token, workerId: token });
      expect(await jobs.settle({ jobId: id, token, outcome: 'completed', result: 'done' })).toBe(true);
      expect(await jobs.history(tenant, id)).toMatchObject({
        job: { status: 'completed', result: 'done' },
        attempts: [{ run: 1 }, { run: 2 }],
      });

      // It has finished now, so it is kept for as long as any other.
      await database.query(`UPDATE retention_sweeps SET swept_at = swept_at - interval '2 days'`);
      expect(await oldJobs({ days: 10 }).remove()).toBe(0);
      expect(await rowsLeft(id)).toContain('jobs');

      await database.query(`UPDATE jobs SET finished_at = now() - interval '11 days' WHERE id = $1`, [id]);
      await database.query(`UPDATE retention_sweeps SET swept_at = swept_at - interval '2 days'`);
      expect(await oldJobs({ days: 10 }).remove()).toBe(1);
      expect(await partitions(12)).toEqual([]);
    });

    it('indexes the ends of days that are yet to go, one a pass, the oldest first', async () => {
      for (const daysAgo of [0, 5, 6]) await history(daysAgo, 'completed');
      const indexes = async (): Promise<string[]> => {
        const rows = await database.query<{ name: string }[]>(
          `SELECT relname AS name FROM pg_class WHERE relname LIKE 'jobs%\\_ends' ORDER BY 1`,
        );
        return rows.map(({ name }) => name);
      };
      await oldJobs({}).remove();
      expect(await indexes()).toEqual([]);

      const made: number[] = [];
      for (let pass = 0; pass < 12; pass++) {
        await oldJobs({ days: 10 }).remove();
        made.push((await indexes()).length);
      }
      const days = made.at(-1)!;
      expect(days).toBeGreaterThanOrEqual(8);
      expect(made).toEqual(made.map((_, pass) => Math.min(pass + 1, days)));
      expect(await database.query('SELECT FROM retention_sweeps WHERE held_until IS NOT NULL')).toEqual([]);
    });

    it('keeps a job that ended long after it was made for as long as any other', async () => {
      const [late] = await history(12, 'completed', { finishedDaysAgo: 3 });
      await history(12, 'completed', { count: 3 });

      expect(await oldJobs({ days: 10 }).remove()).toBe(3);

      expect(await rowsLeft(late!)).toEqual(TABLES);
    });

    it('deletes in a day in which much is left, and keeps the day', async () => {
      const [gone] = await history(12, 'completed', { count: 3 });
      const [dead] = await history(12, 'failed');
      const kept = await history(12, 'completed', { count: 20, finishedDaysAgo: 3 });

      expect(await oldJobs({ days: 10 }).remove()).toBe(4);

      expect(await partitions(12)).toEqual([...TABLES.map((table) => `${table}_DAY`)].sort());
      expect(await rowsLeft(gone!)).toEqual([]);
      expect(await rowsLeft(dead!)).toEqual([]);
      expect(await rowsLeft(kept[0]!)).toEqual(TABLES);
    });

    it('keeps jobs of one status longer, and of another shorter', async () => {
      const [[completed], [failed], [cancelled]] = await Promise.all([
        history(12, 'completed'),
        history(12, 'failed'),
        history(12, 'cancelled'),
      ]);

      await oldJobs({ days: 10, statusDays: { failed: 0, completed: 20, cancelled: 5 } }).remove();
      expect(await rowsLeft(cancelled!)).toEqual([]);
      expect(await rowsLeft(completed!)).toEqual(TABLES);

      await oldJobs({ days: 10, statusDays: { failed: 0 } }).remove();
      expect(await rowsLeft(completed!)).toEqual([]);
      expect(await rowsLeft(failed!)).toEqual([...TABLES, 'dead_letters']);
      expect(await jobs.retry(tenant, failed!)).toMatchObject({ status: 'waiting', run: 2 });
    });

    it('keeps jobs of a type as the type says, also in a process that does not know it', async () => {
      const [chatty] = await history(3, 'completed', { type: 'chatty' });
      const [chattyFailed] = await history(3, 'failed', { type: 'chatty' });
      const [ledger] = await history(15, 'completed', { type: 'ledger' });
      const [demo] = await history(15, 'completed');
      const [recent] = await history(3, 'completed');
      const knowing = oldJobs({ days: 10 }, database, [
        aType('chatty', { completed: '1d' }),
        aType('ledger', '365d'),
      ]);
      await knowing.onApplicationBootstrap();
      await knowing.beforeApplicationShutdown();

      await oldJobs({ days: 10 }, neighbour).remove();

      expect(await rowsLeft(chatty!)).toEqual([]);
      expect(await rowsLeft(chattyFailed!)).toEqual([...TABLES, 'dead_letters']);
      expect(await rowsLeft(ledger!)).toEqual(TABLES);
      expect(await rowsLeft(demo!)).toEqual([]);
      expect(await rowsLeft(recent!)).toEqual(TABLES);
    });

    it('forgets a rule that its type does not state any more', async () => {
      const state = async (...types: JobTypeOptions[]) => {
        const process = oldJobs({}, database, types);
        await process.onApplicationBootstrap();
        await process.beforeApplicationShutdown();
        return database.query<object[]>(
          'SELECT type, status, age_ms FROM retention_rules ORDER BY type, status',
        );
      };
      await state(aType('chatty', { completed: '1d', failed: '2d' }), aType('other', { failed: '3d' }));

      expect(await state(aType('chatty', { failed: '4d' }))).toEqual([
        { type: 'chatty', status: 'failed', age_ms: String(4 * DAY) },
        { type: 'other', status: 'failed', age_ms: String(3 * DAY) },
      ]);
    });

    it('loses no job that is retried while its day goes', async () => {
      const all = await history(12, 'failed', { count: 200 });
      await history(12, 'completed', { count: 300 });

      const answers = Promise.all(all.map((id) => jobs.retry(tenant, id)));
      const removed = await oldJobs({ days: 10 }, neighbour).remove();

      const retried = (await answers).filter((job) => job !== undefined);
      expect(removed).toBe(500 - retried.length);
      expect(await jobs.list(tenant, { statuses: ['waiting'] }, { limit: 500 })).toHaveLength(retried.length);
      const [{ count }] = await database.query<[{ count: number }]>(
        'SELECT count(*)::int AS count FROM dispatch',
      );
      expect(count).toBe(retried.length);
    });

    it('holds up nobody while somebody reads or writes that day, and comes to its end afterwards', async () => {
      await history(12, 'completed', { count: 5 });
      const reader = neighbour.createQueryRunner();
      await reader.startTransaction();
      await reader.query('SELECT count(*) FROM jobs');

      const removing = oldJobs({ days: 10 }).remove();
      for (let n = 0; n < 10; n++) await jobs.insert([aDraft()]);
      expect(await partitions(12)).toHaveLength(4);
      await reader.commitTransaction();
      await reader.release();

      expect(await removing).toBe(5);
      expect(await partitions(12)).toEqual([]);
    });

    it('is done once where two processes come to it at the same time', async () => {
      for (const daysAgo of [12, 13, 14]) {
        await history(daysAgo, 'completed', { count: 20 });
        await history(daysAgo, 'failed', { count: 5 });
      }
      const [late] = await history(13, 'completed', { finishedDaysAgo: 1 });

      const removed = await Promise.all([
        oldJobs({ days: 10 }).remove(),
        oldJobs({ days: 10 }, neighbour).remove(),
      ]);

      expect(removed[0] + removed[1]).toBe(75);
      expect(await rowsLeft(late!)).toEqual(TABLES);
      expect(await partitions(12)).toEqual([]);
      expect(await database.query('SELECT FROM dead_letters')).toEqual([]);
    });

    it('leaves partitions alone that it did not make', async () => {
      await database.query(`CREATE TABLE jobs_archive PARTITION OF jobs FOR VALUES FROM ('${idFloor(new Date(0))}')
        TO ('${idFloor(new Date(DAY))}')`);

      await oldJobs({ days: 10 }).remove();

      expect(await database.query(`SELECT FROM pg_class WHERE relname = 'jobs_archive'`)).toHaveLength(1);
    });

    it('removes operations that ended as long ago', async () => {
      const insert = `INSERT INTO operations (id, tenant, kind, filter, status, matched, before, finished_at)
        VALUES (gen_random_uuid(), 'default', 'cancel', '{}', $1, 0, gen_random_uuid(), now() - $2 * interval '1 day')`;
      for (const [status, days] of [
        ['completed', 11],
        ['completed', 9],
        ['running', 11],
      ])
        await database.query(insert, [status, days]);

      await oldJobs({ days: 10 }).remove();

      expect(await database.query('SELECT status FROM operations ORDER BY status')).toEqual([
        { status: 'completed' },
        { status: 'running' },
      ]);
    });
  });
}
