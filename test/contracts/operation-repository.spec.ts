import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import type { JobFilter, JobRepository } from '../../src/jobs/job-repository.js';
import type { Job, JobDraft, JobStatus } from '../../src/jobs/job.js';
import { InMemoryOperationRepository } from '../../src/operations/in-memory-operation-repository.js';
import type { OperationRepository } from '../../src/operations/operation-repository.js';
import { STATUSES_OF, type Operation, type OperationKind } from '../../src/operations/operation.js';
import { TypeOrmOperationRepository } from '../../src/persistence/typeorm-operation-repository.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated, recordConfig, repositoryOn } from '../support/record-on-postgres.js';

interface Record {
  jobs: JobRepository;
  operations: OperationRepository;
}

/** What one test works with: a tenant that no other test knows. */
class Scene {
  readonly tenant = `tenant-${randomUUID()}`;

  constructor(private readonly record: Record) {}

  get operations(): OperationRepository {
    return this.record.operations;
  }

  submit(count: number, more: Partial<JobDraft> = {}): Promise<Job[]> {
    const draft = aDraft({ tenant: this.tenant, ...more });
    return this.record.jobs.insert(Array.from({ length: count }, () => draft));
  }

  start(kind: OperationKind, filter: JobFilter = {}): Promise<Operation> {
    return this.operations.start(this.tenant, kind, { statuses: [...STATUSES_OF[kind]], ...filter });
  }

  /** Takes batches until the operation is over. @returns how it stood after each */
  async finish({ id }: Operation, limit: number): Promise<Operation[]> {
    const seen: Operation[] = [];
    for (;;) {
      const stepped = await this.operations.step(limit);
      const operation = stepped?.id === id ? stepped : undefined;
      if (operation) seen.push(operation);
      if (!stepped || operation?.status === 'completed') return seen;
    }
  }

  async count(status: JobStatus): Promise<number> {
    return (await this.record.jobs.list(this.tenant, { statuses: [status] }, { limit: 10_000 })).length;
  }

  cancel({ id }: Job): Promise<unknown> {
    return this.record.jobs.cancel(this.tenant, id);
  }

  async fail({ id, delivery }: Job): Promise<void> {
    const claim = { jobId: id, delivery, token: randomUUID(), workerId: randomUUID() };
    await this.record.jobs.claim(claim);
    await this.record.jobs.settle({ ...claim, outcome: 'failed', error: { code: 'X', message: 'x' } });
  }
}

function describeOperations(name: string, setup: () => Promise<Record>): void {
  describe(name, () => {
    let record: Record;
    beforeAll(async () => {
      record = await setup();
    });
    const scene = (): Scene => new Scene(record);

    it('cancels all that match, in batches, and tells how far it has come', async () => {
      const at = scene();
      await at.submit(7);
      await at.submit(3, { type: 'demo' });

      const operation = await at.start('cancel', { types: ['send_email'] });
      expect(operation).toMatchObject({
        ...{ kind: 'cancel', status: 'running', matched: 7, processed: 0, changed: 0, finishedAt: null },
        filter: { types: ['send_email'] },
      });

      const seen = await at.finish(operation, 3);

      expect(seen.map(({ status, processed, changed }) => [status, processed, changed])).toEqual([
        ['running', 3, 3],
        ['running', 6, 6],
        ['completed', 7, 7],
      ]);
      expect(await at.operations.find(at.tenant, operation.id)).toEqual(seen.at(-1));
      expect(seen.at(-1)?.finishedAt).toEqual(expect.any(Date));
      expect([await at.count('cancelled'), await at.count('waiting')]).toEqual([7, 3]);
    });

    it('retries what failed or was cancelled', async () => {
      const at = scene();
      const [failed, cancelled] = await at.submit(3);
      await at.fail(failed!);
      await at.cancel(cancelled!);

      await at.finish(await at.start('retry'), 10);

      expect([await at.count('waiting'), await at.count('failed'), await at.count('cancelled')]).toEqual([
        3, 0, 0,
      ]);
    });

    it('counts those apart that others have decided on meanwhile', async () => {
      const at = scene();
      const jobs = await at.submit(3);
      const operation = await at.start('cancel');
      await at.cancel(jobs[0]!);

      const [end] = (await at.finish(operation, 10)).slice(-1);

      expect(end).toMatchObject({ status: 'completed', matched: 3, changed: 2 });
      expect(await at.count('cancelled')).toBe(3);
    });

    it('leaves alone what is submitted after its start', async () => {
      const at = scene();
      await at.submit(2);
      const operation = await at.start('cancel');
      await at.submit(2);

      await at.finish(operation, 1);

      expect([await at.count('cancelled'), await at.count('waiting')]).toEqual([2, 2]);
    });

    it('leaves alone the jobs of another tenant, who does not see it either', async () => {
      const at = scene();
      const other = scene();
      await at.submit(2);
      await other.submit(2);

      const operation = await at.start('cancel');
      await at.finish(operation, 10);

      expect(await other.count('waiting')).toBe(2);
      expect(await at.operations.find(other.tenant, operation.id)).toBeUndefined();
    });

    it('counts what matches', async () => {
      const at = scene();
      await at.submit(4, { tags: ['a'] });
      await at.submit(2);

      expect(await at.operations.count(at.tenant, { tags: ['a'], statuses: ['waiting', 'active'] })).toBe(4);
      expect(await at.operations.count(at.tenant, { statuses: ['failed'] })).toBe(0);
    });

    it('is over at once where nothing matches', async () => {
      const at = scene();

      const seen = await at.finish(await at.start('retry'), 10);

      expect(seen).toMatchObject([{ status: 'completed', matched: 0, processed: 0 }]);
    });
  });
}

describeOperations('InMemoryOperationRepository', () => {
  const jobs = new InMemoryJobRepository();
  return Promise.resolve({ jobs, operations: new InMemoryOperationRepository(jobs) });
});

describe('TypeOrmOperationRepository', () => {
  let database: DataSource;
  let other: DataSource;
  const on = (source: DataSource): Record => ({
    jobs: repositoryOn(source),
    operations: new TypeOrmOperationRepository(source, recordConfig('')),
  });

  beforeAll(async () => {
    const url = await (await startPostgres()).createDatabase();
    database = await connectMigrated(url);
    other = await connectMigrated(url);
  });
  afterAll(() => Promise.all([database.destroy(), other.destroy()]));

  describeOperations('on PostgreSQL', () => Promise.resolve(on(database)));

  it('does each batch once, though two processes work on it', async () => {
    const at = new Scene(on(database));
    await at.submit(500);
    const operation = await at.start('cancel');

    const work = async (record: Record): Promise<void> => {
      for (;;) {
        const found = await record.operations.find(at.tenant, operation.id);
        if (found?.status === 'completed') return;
        await record.operations.step(20);
      }
    };
    await Promise.all([work(on(database)), work(on(other)), work(on(other))]);

    expect(await at.operations.find(at.tenant, operation.id)).toMatchObject({
      status: 'completed',
      processed: 500,
      changed: 500,
    });
    const [row] = await database.query<{ count: number }[]>(
      `SELECT count(*)::int FROM job_events WHERE tenant = $1 AND kind = 'cancelled'`,
      [at.tenant],
    );
    expect(row?.count).toBe(500);
  });
});
