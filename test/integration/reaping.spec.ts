import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { age, connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

const LEASE = 10_000;

describe('a heartbeat that comes while its worker is being reaped', () => {
  let database: DataSource;

  beforeAll(async () => {
    const postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
  });

  afterAll(() => database.destroy());

  it('keeps the worker, and with it all that the worker holds', async () => {
    const jobs = repositoryOn(database);
    const worker = randomUUID();
    await database.query(
      `INSERT INTO workers (id, host, pid, queues, concurrency) VALUES ($1, 'host', 1, '[]', 1)`,
      [worker],
    );
    const [job] = await jobs.insert([aDraft()]);
    await jobs.claim({ jobId: job!.id, delivery: 1, token: randomUUID(), workerId: worker });
    await age(database, LEASE * 2);

    const beating = database.createQueryRunner();
    await beating.startTransaction();
    await beating.query(`UPDATE workers SET heartbeat_at = now() WHERE id = $1`, [worker]);
    const reaping = jobs.reap(LEASE, 3);
    await sleep(300); // it waits for the row by now
    await beating.commitTransaction();
    await beating.release();

    expect(await reaping).toEqual([]);
    expect(await jobs.held(worker)).toHaveLength(1);
  });
});
