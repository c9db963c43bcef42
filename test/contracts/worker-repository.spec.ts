import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import type { WorkerRecord } from '../../src/jobs/delivery/heartbeat.js';
import { LEASE } from '../../src/jobs/delivery/reaper.js';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { RecordUnavailable } from '../../src/jobs/job.errors.js';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import type { Job } from '../../src/jobs/job.js';
import { TypeOrmWorkerRepository } from '../../src/persistence/typeorm-worker-repository.js';
import { InMemoryWorkerRepository } from '../../src/workers/in-memory-worker-repository.js';
import type { WorkerRepository } from '../../src/workers/worker-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { age, connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

/** One implementation, and what happens around it. */
interface WorkersUnderTest {
  workers: WorkerRepository;
  jobs: JobRepository;
  beat(worker: WorkerRecord): Promise<void>;
  /** Makes all heartbeats so many ms older. */
  age(ms: number): Promise<void>;
  goDown(): Promise<void>;
}

const ALL = { workers: 100, jobs: 100 };

describeWorkers('InMemoryWorkerRepository', async () => {
  const jobs = new InMemoryJobRepository();
  const workers = new InMemoryWorkerRepository(jobs);
  return {
    ...{ jobs, workers },
    beat: async (worker) => workers.beat(worker),
    age: async (ms) => workers.advance(ms),
    goDown: async () => jobs.goDown(),
  };
});

describeOnPostgres('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeOnPostgres('PostgreSQL 15', 'system');

function describeOnPostgres(server: string, binaries: 'embedded' | 'system'): void {
  let postgres: PrivatePostgres;
  let database: DataSource;

  afterAll(async () => {
    await database.destroy();
    await postgres.stop();
  });

  describeWorkers(`TypeOrmWorkerRepository on ${server}`, async () => {
    postgres = await startPostgres({ binaries });
    database = await connectMigrated(await postgres.createDatabase());
    return {
      workers: new TypeOrmWorkerRepository(database),
      jobs: repositoryOn(database),
      beat: async ({ id, host, pid, queues, types }) => {
        await database.query(
          `INSERT INTO workers (id, host, pid, queues, types, concurrency) VALUES ($1, $2, $3, $4, $5, 12)`,
          [id, host, pid, JSON.stringify(queues), JSON.stringify(types)],
        );
      },
      age: (ms) => age(database, ms),
      goDown: () => postgres.kill(),
    };
  });
}

/** The promises of WorkerRepository. */
function describeWorkers(name: string, setup: () => Promise<WorkersUnderTest>): void {
  describe(name, () => {
    let under: WorkersUnderTest;
    let tenant: string;

    beforeAll(async () => {
      under = await setup();
    });
    beforeEach(() => {
      tenant = `tenant-${randomUUID()}`;
    });

    const aWorker = async (): Promise<WorkerRecord> => {
      const worker = {
        ...{ id: randomUUID(), host: 'host', pid: 7, types: ['demo', 'send_email'] },
        queues: [
          { name: 'default', concurrency: 10 },
          { name: 'mail', concurrency: 2 },
        ],
      };
      await under.beat(worker);
      return worker;
    };
    const stateOf = async ({ id }: WorkerRecord, jobs = 100) =>
      (await under.workers.list(tenant, { workers: 100, jobs })).find((worker) => worker.id === id);
    const give = async ({ id: workerId }: WorkerRecord, whose = tenant): Promise<Job> => {
      const [job] = await under.jobs.insert([aDraft({ tenant: whose })]);
      const answer = await under.jobs.claim({ jobId: job!.id, delivery: 1, token: randomUUID(), workerId });
      expect(answer.kind).toBe('claimed');
      return job!;
    };

    it('tells who a worker is, and what it serves', async () => {
      const worker = await aWorker();

      expect(await stateOf(worker)).toEqual({
        ...worker,
        ...{ concurrency: 12, lag: 0, stale: false, active: 0, jobs: [] },
        startedAt: expect.any(Date),
        heartbeatAt: expect.any(Date),
      });
    });

    it('tells the jobs in hand, longest first, up to a number', async () => {
      const worker = await aWorker();
      const jobs = [await give(worker), await give(worker), await give(worker)];

      const state = await stateOf(worker, 2);

      expect(state!.active).toBe(3);
      expect(state!.jobs).toEqual(
        jobs.slice(0, 2).map(({ id }) => ({ id, type: 'send_email', since: expect.any(Date) })),
      );
    });

    it("never tells of another tenant's jobs", async () => {
      const worker = await aWorker();
      await give(worker, `${tenant}-2`);

      expect(await stateOf(worker)).toMatchObject({ active: 0, jobs: [] });
    });

    it('calls a worker stale whose heartbeat is older than the lease', async () => {
      const worker = await aWorker();
      await under.age(LEASE - 2_000);
      expect(await stateOf(worker)).toMatchObject({ stale: false });

      await under.age(2_001);

      expect(await stateOf(worker)).toMatchObject({ stale: true });
    });

    it('tells those that started first, up to a number', async () => {
      const [one, two] = [await aWorker(), await aWorker()];
      const all = (await under.workers.list(tenant, ALL)).map(({ id }) => id);

      expect(all.indexOf(one.id)).toBeLessThan(all.indexOf(two.id));
      expect((await under.workers.list(tenant, { workers: 1, jobs: 1 })).map(({ id }) => id)).toEqual(
        all.slice(0, 1),
      );
    });

    it('tells an outage as such', async () => {
      await under.goDown();

      await expect(under.workers.list(tenant, ALL)).rejects.toBeInstanceOf(RecordUnavailable);
    });
  });
}
