import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { IdempotencyInFlight, RecordUnavailable } from '../../src/jobs/job.errors.js';
import type { Delivery } from '../../src/jobs/job-queue.js';
import type { Claim, JobRepository } from '../../src/jobs/job-repository.js';
import type { Job } from '../../src/jobs/job.js';
import { isDeadlock } from '../../src/persistence/database-error.js';
import { ExpiredKeys } from '../../src/persistence/expired-keys.js';
import { PreparedStatement } from '../../src/persistence/prepared-statement.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { age, connect, connectMigrated, repositoryOn, untilAnswers } from '../support/record-on-postgres.js';
import { describeJobRepository } from './job-repository.contract.js';
import { countOf, onceWith } from './job-repository.idempotency.contract.js';
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
    transaction: (work) => jobs.transaction(work),
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
    let url: string;
    let database: DataSource;
    let neighbour: DataSource;
    let under: RecordUnderTest;

    beforeAll(async () => {
      postgres = await startPostgres({ binaries });
      url = await postgres.createDatabase();
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

    describe('an idempotency key', () => {
      it('is left behind by no insert that fails, and its neighbours commit', async () => {
        const at = new Scene(under);
        const poison = at.draft({ options: { ...at.draft().options, timeout: 2 ** 31 } });
        const keys = Array.from({ length: 4 }, () => onceWith());
        const another = { ...keys[1]!, fingerprint: 'another' };

        const answers = await Promise.allSettled([
          at.jobs.insert([at.draft()], keys[0]),
          at.jobs.insert([at.draft(), poison], keys[1]),
          at.jobs.insert([at.draft()], keys[2]),
          at.jobs.insert([at.draft()], another),
          at.jobs.insert([at.draft(), poison], keys[3]),
        ]);

        expect(answers.map(({ status }) => status)).toEqual([
          'fulfilled',
          'rejected',
          'fulfilled',
          'fulfilled',
          'rejected',
        ]);
        expect((await at.jobs.insert([at.draft()], keys[3]))[0]!.replayed).toBeUndefined();
        expect((await at.jobs.insert([at.draft()], another))[0]!.replayed).toBe(true);
        expect(await countOf(at)).toBe(4);
      });

      it('settles what a connection lost during the commit leaves open', async () => {
        const at = new Scene(under);
        const once = onceWith();
        const query = database.query.bind(database);
        const spy = jest.spyOn(database, 'query').mockImplementationOnce(async (...args) => {
          await query(...args);
          throw new Error('Connection terminated unexpectedly');
        });

        const lost = at.jobs.insert([at.draft()], once);

        await expect(lost).rejects.toBeInstanceOf(RecordUnavailable);
        spy.mockRestore();
        const [job] = await at.jobs.insert([at.draft()], once);
        expect(job).toMatchObject({ replayed: true });
        expect(await countOf(at)).toBe(1);
      });

      it('undoes nothing where the first answer cannot be read', async () => {
        const at = new Scene(under);
        const [known, fresh] = [onceWith(), onceWith()];
        await at.jobs.insert([at.draft()], known);
        const query = database.query.bind(database);
        const spy = jest.spyOn(database, 'query').mockImplementation(async (...args) => {
          if (!args[0].includes('INSERT')) throw Object.assign(new Error('deadlock'), { code: '40P01' });
          return query(...args);
        });

        const answers = await Promise.allSettled([
          at.jobs.insert([at.draft()], known),
          at.jobs.insert([at.draft()], fresh),
        ]);

        spy.mockRestore();
        expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
        expect(await countOf(at)).toBe(2);
      });

      it('that another transaction holds is in flight, and no one without a key waits for it', async () => {
        const at = new Scene(under);
        const once = onceWith();
        const holder = neighbour.createQueryRunner();
        await holder.startTransaction();
        await holder.query(
          `INSERT INTO idempotency_keys (tenant, key, fingerprint, jobs, expires_at) VALUES ($1, $2, '', '[]', now())`,
          [at.tenant, once.key],
        );

        let waiting = true;
        const held = at.jobs.insert([at.draft()], once).finally(() => (waiting = false));
        const refused = expect(held).rejects.toBeInstanceOf(IdempotencyInFlight);
        await at.jobs.insert([at.draft()]);
        expect(waiting).toBe(true);

        await refused;
        await holder.rollbackTransaction();
        await holder.release();
        expect((await at.jobs.insert([at.draft()], once))[0]!.replayed).toBeUndefined();
      });

      it('shares statements with others: one to insert them, one to read the answers of those that were taken', async () => {
        const at = new Scene(under);
        const keys = Array.from({ length: 100 }, () => onceWith());
        const statements = jest.spyOn(database, 'query');

        await Promise.all(
          keys.flatMap((key) => [key, key].map((once) => at.jobs.insert([at.draft()], once))),
        );

        expect(statements).toHaveBeenCalledTimes(2);
        statements.mockRestore();
        expect(await countOf(at)).toBe(100);
      });

      it('has an attempt that completes its job on the row of the job, and those before in rows of their own', async () => {
        const at = new Scene(under);
        await under.beat(at.workerId);
        const first = await at.claimNew();
        await at.fail(first, 0);
        const second = await at.claim(await at.found({ id: first.jobId }));
        await at.complete(second);

        const [job] = await rowsOfJob('jobs', 'id', first.jobId);
        expect(job).toMatchObject({ token: second.token, worker: 'host:1' });
        const rows = await rowsOfJob('job_attempts', 'job_id', first.jobId);
        expect(rows).toEqual([expect.objectContaining({ token: first.token, outcome: 'failed' })]);
        expect(await at.attempts(first.jobId)).toMatchObject([
          { number: 1, outcome: 'failed' },
          { number: 2, outcome: 'completed', worker: 'host:1', finishedAt: job!.finished_at },
        ]);
      });

      it('leaves no token of a failure on the row of the job', async () => {
        const at = new Scene(under);
        const { id } = await at.failedJob();

        expect(await rowsOfJob('jobs', 'id', id)).toMatchObject([{ token: null, worker: null }]);
      });

      it('knows an attempt that the release before completed, in a row of its own', async () => {
        const at = new Scene(under);
        const [claim, withEffect] = [await at.claimNew(), await at.claimNew()];
        for (const each of [claim, withEffect]) {
          await at.complete(each, 'first');
          await database.query(
            `INSERT INTO job_attempts (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome)
           SELECT job_id, tenant, run, number, token, worker, started_at, finished_at, outcome FROM all_attempts
           WHERE job_id = $1`,
            [each.jobId],
          );
          await database.query('UPDATE jobs SET token = NULL, worker = NULL WHERE id = $1', [each.jobId]);
        }

        expect(await at.complete(claim)).toBe(true);
        expect(await at.jobs.settleWith(withEffect, () => Promise.reject(new Error('again')))).toEqual({
          result: 'first',
        });
        expect(await at.attempts(claim.jobId)).toMatchObject([{ number: 1, outcome: 'completed' }]);
      });

      it('settles what completed, failed and is tried again side by side', async () => {
        const at = new Scene(under);
        const claims = await Promise.all(Array.from({ length: 30 }, () => at.claimNew()));
        const settle = (claim: Claim, n: number) =>
          n % 3 === 0 ? at.complete(claim, n) : at.fail(claim, n % 3 === 1 ? undefined : 60_000);

        expect(await Promise.all(claims.map(settle))).toEqual(Array(30).fill(true));

        const found = await Promise.all(claims.map(({ jobId }) => at.found({ id: jobId })));
        const statuses = ['completed', 'failed', 'delayed'];
        expect(found.map(({ status }) => status)).toEqual(claims.map((_, n) => statuses[n % 3]));
        expect(found.map(({ result }) => result)).toEqual(claims.map((_, n) => (n % 3 === 0 ? n : null)));
      });

      async function rowsOfJob(table: string, key: string, id: string): Promise<Record<string, unknown>[]> {
        return database.query(`SELECT * FROM ${table} WHERE ${key} = $1`, [id]);
      }

      it('never deadlocks, in whatever orders processes insert the same ones', async () => {
        const at = new Scene(under);
        const deadlocks = [database, neighbour].map(countDeadlocks);
        const processes = [database, database, neighbour, neighbour].map((each) => repositoryOn(each));

        for (let round = 0; round < 5; round++) {
          const keys = Array.from({ length: 300 }, () => onceWith());
          await Promise.all(
            processes.flatMap((process, n) =>
              shuffled(keys, n).map((once) => process.insert([at.draft()], once)),
            ),
          );
        }

        expect(deadlocks.map((count) => count())).toEqual([0, 0]);
        expect(await countOf(at)).toBe(1_500);
      });

      it('is removed a minute after it has expired, in batches, and no other is', async () => {
        const at = new Scene(under);
        const removal = new ExpiredKeys(database);
        await database.query('DELETE FROM idempotency_keys');
        const [kept, expired] = [onceWith(), Array.from({ length: 25 }, () => onceWith())];
        const keysOf = () =>
          database.query<{ key: string }[]>('SELECT key FROM idempotency_keys WHERE tenant = $1', [
            at.tenant,
          ]);
        await Promise.all(expired.map((once) => at.jobs.insert([at.draft()], once)));
        await age(database, 24 * 3_600_000 + 30_000);
        await removal.remove();
        expect(await keysOf()).toHaveLength(25);

        await age(database, 30_001);
        await at.jobs.insert([at.draft()], kept);
        const removed = await Promise.all([removal.remove(10), new ExpiredKeys(neighbour).remove(10)]);

        expect(removed[0] + removed[1]).toBe(25);
        expect(await keysOf()).toEqual([{ key: kept.key }]);
      });
    });

    it('shares statements between requests made at the same time', async () => {
      const at = new Scene(under);
      const [plain, prepared] = [
        jest.spyOn(database, 'query'),
        jest.spyOn(PreparedStatement.prototype, 'rowsOf'),
      ];
      const statements = () => plain.mock.calls.length + prepared.mock.calls.length;

      const jobs = (
        await Promise.all(Array.from({ length: 200 }, () => at.jobs.insert([at.draft()])))
      ).flat();
      const inserts = statements();
      const answers = await Promise.all(jobs.map((job) => at.jobs.claim(at.request(job))));
      const claims = statements() - inserts;
      await Promise.all(
        answers.map(async (answer) => answer.kind === 'claimed' && (await at.complete(answer.claim))),
      );
      const settlements = statements() - inserts - claims;
      plain.mockRestore();
      prepared.mockRestore();

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
      expect(await at.attempts(claim.jobId)).toHaveLength(1);
    });

    it('never deadlocks, in whatever orders processes mark, claim, settle and hand back the same jobs', async () => {
      const at = new Scene(under);
      const own = await Promise.all(Array.from({ length: 4 }, () => connect(url)));
      const before = await deadlocksOf(database);
      const processes = own.map((each) => repositoryOn(each));

      const eachInItsOrder = <Item, Answer>(
        items: Item[],
        ask: (at: JobRepository, item: Item) => Promise<Answer>,
      ) =>
        Promise.all(
          processes.map((process, n) => Promise.all(shuffled(items, n).map((item) => ask(process, item)))),
        );

      for (let round = 0; round < 5; round++) {
        const jobs = await at.submitMany(300);
        const marks = processes.map((process, n) => process.markPushed(shuffled(jobs.map(deliveryOf), n)));
        const answers = await eachInItsOrder(jobs, (process, job) => process.claim(at.request(job)));
        await Promise.all(marks);
        const claims = answers.flat().flatMap((answer) => (answer.kind === 'claimed' ? [answer.claim] : []));
        expect(claims).toHaveLength(300);

        // A third is to be tried again, and meanwhile a worker goes.
        await Promise.all([
          eachInItsOrder(claims, (process, claim) =>
            Number.parseInt(claim.jobId.slice(-4), 16) % 3 === 0
              ? process.settle({ ...claim, outcome: 'failed', error: anError, retryIn: 60_000 })
              : process.settle({ ...claim, outcome: 'completed', result: null }),
          ),
          processes[round % 4]!.releaseAll(at.workerId, 'shutdown'),
        ]);
      }

      const sessions = await sessionsOf(own);
      await Promise.all(own.map((each) => each.destroy()));
      await untilEnded(database, sessions);
      expect((await deadlocksOf(database)) - before).toBe(0);
      const settled = await at.jobs.list(at.tenant, { statuses: ['completed'] }, { limit: 5_000 });
      expect(settled.every(({ attemptsMade }) => attemptsMade === 1)).toBe(true);
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

const deliveryOf = ({ id, delivery }: Job): Delivery => ({ jobId: id, delivery });

/** For statements that are not prepared: deadlocks are tried again, so that only the statements show them. */
function countDeadlocks(database: DataSource): () => number {
  const query = database.query.bind(database);
  let count = 0;
  const spy = jest.spyOn(database, 'query').mockImplementation((...args) =>
    query(...args).catch((error: unknown) => {
      if (isDeadlock(error)) count++;
      throw error;
    }),
  );
  return () => (spy.mockRestore(), count);
}

/** As the server has counted them. They are tried again, so that nobody else is told; sessions that end tell it all. */
async function deadlocksOf(database: DataSource): Promise<number> {
  const [row] = await database.query<{ deadlocks: number }[]>(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
  );
  return row?.deadlocks ?? NaN;
}

/** All sessions of these pools. */
async function sessionsOf(pools: DataSource[]): Promise<number[]> {
  const rows = await Promise.all(
    pools.map((pool) =>
      Promise.all(
        Array.from({ length: 10 }, () =>
          pool.query<{ pid: number }[]>('SELECT pg_backend_pid() AS pid, pg_sleep(0.05)'),
        ),
      ),
    ),
  );
  return rows.flat(2).map(({ pid }) => pid);
}

async function untilEnded(database: DataSource, pids: number[]): Promise<void> {
  for (;;) {
    const left = await database.query<unknown[]>('SELECT FROM pg_stat_activity WHERE pid = ANY ($1)', [pids]);
    if (left.length === 0) return;
    await sleep(20);
  }
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
    transaction: (work) => database.transaction(work),
    events: (jobId) =>
      database.query('SELECT kind, detail FROM job_events WHERE job_id = $1 ORDER BY seq', [jobId]),
    goDown: () => postgres.kill(),
    comeBack: async () => {
      await postgres.start();
      await Promise.all([untilAnswers(database), untilAnswers(neighbour)]);
    },
  };
}
