import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import { sqlStateOf } from '../../src/persistence/database-error.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { age, connect, connectMigrated, repositoryOn, untilAnswers } from '../support/record-on-postgres.js';
import { describeJobRepository } from './job-repository.contract.js';
import { anError, idsOf, type RecordUnderTest, Scene } from './record-scene.js';

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeJobRepository('InMemoryJobRepository', async () => {
  const jobs = new InMemoryJobRepository();
  return {
    jobs,
    other: jobs,
    withShards: (shards) => new InMemoryJobRepository({ shards }),
    advance: async (ms) => jobs.advance(ms),
    wait: async (ms) => jobs.advance(ms),
    beat: async (workerId) => jobs.beat(workerId),
    knowsWorker: async (workerId) => jobs.knowsWorker(workerId),
    events: async (jobId) => jobs.events(jobId),
    goDown: async () => jobs.goDown(),
    comeBack: async () => jobs.comeBack(),
  };
});

describeOnPostgres('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeOnPostgres('PostgreSQL 15', 'system');

function describeOnPostgres(server: string, binaries: 'embedded' | 'system'): void {
  describe(`TypeOrmJobRepository on ${server}`, () => {
    let postgres: PrivatePostgres;
    let database: DataSource;
    let neighbour: DataSource;
    let under: RecordUnderTest;

    beforeAll(async () => {
      postgres = await startPostgres({ binaries });
      const url = await postgres.createDatabase();
      database = await connectMigrated(url);
      neighbour = await connect(url);
      under = recordOn(postgres, database, neighbour);
    });

    afterAll(async () => {
      await database.destroy();
      await neighbour.destroy();
      await postgres.stop();
    });

    describeJobRepository('as any record', async () => under);

    describe('a poison row', () => {
      it('in an insert fails alone, and takes its whole request with it', async () => {
        const at = new Scene(under);
        const poison = at.draft({ tenant: 'a\u0000b' });

        const answers = await Promise.allSettled([
          at.jobs.insert([at.draft(), at.draft()]),
          at.jobs.insert([at.draft(), poison, at.draft()]),
          at.jobs.insert([at.draft()]),
          at.jobs.insert([poison]),
        ]);

        expect(answers.map(({ status }) => status)).toEqual([
          'fulfilled',
          'rejected',
          'fulfilled',
          'rejected',
        ]);
        expect(await at.jobs.list(at.tenant, {}, { limit: 10 })).toHaveLength(3);
      });

      it('in a batch of claims fails alone', async () => {
        const at = new Scene(under);
        const jobs = await at.submitMany(8);

        const answers = await Promise.allSettled(
          jobs.map((job, n) => at.jobs.claim(at.request(job, n === 3 ? { token: 'no uuid' } : {}))),
        );

        expect(answers.map(({ status }) => status)).toEqual(
          jobs.map((_, n) => (n === 3 ? 'rejected' : 'fulfilled')),
        );
        const active = await at.jobs.list(at.tenant, { statuses: ['active'] }, { limit: 10 });
        expect(idsOf(active)).toEqual(idsOf(jobs.toSpliced(3, 1)).reverse());
      });

      it('in a batch of settlements fails alone, and its job stays claimed', async () => {
        const at = new Scene(under);
        const claims = await Promise.all((await at.submitMany(8)).map((job) => at.claim(job)));

        const answers = await Promise.allSettled(
          claims.map((claim, n) =>
            at.jobs.settle({
              ...claim,
              outcome: 'failed',
              error: anError,
              retryIn: n === 5 ? 1e18 : undefined,
            }),
          ),
        );

        expect(answers.map(({ status }) => status)).toEqual(
          claims.map((_, n) => (n === 5 ? 'rejected' : 'fulfilled')),
        );
        expect(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 })).toHaveLength(7);
        expect(await at.found({ id: claims[5]!.jobId })).toMatchObject({ status: 'active' });
        expect(await at.complete(claims[5]!)).toBe(true);
      });
    });

    it('shares statements between requests made at the same time', async () => {
      const at = new Scene(under);
      const statements = jest.spyOn(database, 'query');

      const jobs = (
        await Promise.all(Array.from({ length: 200 }, () => at.jobs.insert([at.draft()])))
      ).flat();
      const inserts = statements.mock.calls.length;
      const answers = await Promise.all(jobs.map((job) => at.jobs.claim(at.request(job))));
      const claims = statements.mock.calls.length - inserts;
      await Promise.all(
        answers.map(async (answer) => answer.kind === 'claimed' && (await at.complete(answer.claim))),
      );
      const settlements = statements.mock.calls.length - inserts - claims;
      statements.mockRestore();

      expect([inserts, claims, settlements]).toEqual([1, 1, 1]);
      expect(await at.jobs.list(at.tenant, { statuses: ['completed'] }, { limit: 1_000 })).toHaveLength(200);
    });

    it('answers a settlement that was sent twice, the second while the first still ran, with yes', async () => {
      const at = new Scene(under);
      const claim = await at.claimNew();
      const blocker = database.createQueryRunner();
      await blocker.startTransaction();
      await blocker.query(`SELECT FROM jobs WHERE id = $1 FOR UPDATE`, [claim.jobId]);

      const settle = (jobs = at.jobs) => jobs.settle({ ...claim, outcome: 'completed', result: 1 });
      const answers = Promise.all([settle(), settle(under.other)]);
      await sleep(200);
      await blocker.commitTransaction();
      await blocker.release();
      await answers;

      // One of the two may have looked before the other had committed; asked again, both know.
      expect(await Promise.all([settle(), settle(under.other)])).toEqual([true, true]);
      expect(await at.jobs.attempts(at.tenant, claim.jobId)).toHaveLength(1);
    });

    it('never deadlocks, in whatever orders processes claim and settle the same jobs', async () => {
      const at = new Scene(under);
      const deadlocks = [database, neighbour].map(countDeadlocks);
      const processes = [database, database, neighbour, neighbour].map((each) => repositoryOn(each));

      const eachInItsOrder = <Item, Answer>(
        items: Item[],
        ask: (at: JobRepository, item: Item) => Promise<Answer>,
      ) =>
        Promise.all(
          processes.map((process, n) => Promise.all(shuffled(items, n).map((item) => ask(process, item)))),
        );

      for (let round = 0; round < 5; round++) {
        const jobs = await at.submitMany(300);
        const answers = await eachInItsOrder(jobs, (process, job) => process.claim(at.request(job)));
        const claims = answers.flat().flatMap((answer) => (answer.kind === 'claimed' ? [answer.claim] : []));
        expect(claims).toHaveLength(300);

        await eachInItsOrder(claims, (process, claim) =>
          process.settle({ ...claim, outcome: 'completed', result: null }),
        );
      }

      const done = await at.jobs.list(at.tenant, { statuses: ['completed'] }, { limit: 5_000 });
      expect(done.filter(({ attemptsMade }) => attemptsMade === 1)).toHaveLength(1_500);
      expect(deadlocks.map((count) => count())).toEqual([0, 0]);
    });

    it('makes the partition that an insert finds missing', async () => {
      const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
      for (const table of ['jobs', 'job_attempts', 'job_events', 'job_logs']) {
        await database.query(`DROP TABLE ${table}_${today}`);
      }
      const at = new Scene(under);

      const jobs = await Promise.all([at.submit(), at.submit()]);

      expect(idsOf(await at.jobs.list(at.tenant, {}, { limit: 10 })).toSorted()).toEqual(
        idsOf(jobs).toSorted(),
      );
      expect(await at.complete(await at.claim(jobs[0]))).toBe(true);
    });
  });
}

/** In an order of its own for each `n`. */
function shuffled<Item>(items: Item[], n: number): Item[] {
  return items.map((_, index) => items[(index * [1, 7, 11, 13][n]! + n) % items.length]!);
}

/** Deadlocks are tried again, so that only the statements show them. */
function countDeadlocks(database: DataSource): () => number {
  const query = database.query.bind(database);
  let count = 0;
  const spy = jest.spyOn(database, 'query').mockImplementation((...args) =>
    query(...args).catch((error: unknown) => {
      if (sqlStateOf(error) === '40P01') count++;
      throw error;
    }),
  );
  return () => (spy.mockRestore(), count);
}

function recordOn(postgres: PrivatePostgres, database: DataSource, neighbour: DataSource): RecordUnderTest {
  const BEAT = `
    INSERT INTO workers (id, host, pid, queues, concurrency) VALUES ($1, 'host', 1, '[]', 1)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()`;
  return {
    jobs: repositoryOn(database),
    other: repositoryOn(neighbour),
    withShards: (shards) => repositoryOn(database, shards),
    advance: (ms) => age(database, ms),
    wait: (ms) => sleep(ms),
    beat: async (workerId) => void (await database.query(BEAT, [workerId])),
    knowsWorker: async (workerId) =>
      (await database.query<unknown[]>('SELECT FROM workers WHERE id = $1', [workerId])).length === 1,
    events: (jobId) =>
      database.query('SELECT kind, detail FROM job_events WHERE job_id = $1 ORDER BY seq', [jobId]),
    goDown: () => postgres.kill(),
    comeBack: async () => {
      await postgres.start();
      await Promise.all([untilAnswers(database), untilAnswers(neighbour)]);
    },
  };
}
