import type { DataSource } from 'typeorm';
import { RecordUnavailable } from '../../src/jobs/job.errors.js';
import type { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';
import { routeTo, type FrozenRoute } from '../support/frozen-route.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres } from '../support/postgres.js';
import { connectAsServed, connectMigrated, repositoryOn } from '../support/record-on-postgres.js';

describe('a database that vanishes without a word', () => {
  let route: FrozenRoute;
  let direct: DataSource;
  let database: DataSource;
  let jobs: TypeOrmJobRepository;

  beforeAll(async () => {
    const postgres = await startPostgres();
    const url = await postgres.createDatabase();
    direct = await connectMigrated(url);
    route = await routeTo(url);
    database = await connectAsServed(route.urlTo(url));
    jobs = repositoryOn(database);
  });

  afterAll(async () => {
    await Promise.all([direct.destroy(), database.destroy()]);
  });

  it('fails what was asked within seconds, what comes after within one, and is found again when it is back', async () => {
    await jobs.insert([aDraft()]);
    route.freeze();

    expect(await timeOf(jobs.insert([aDraft()]))).toBeLessThan(4_000);
    expect(await timeOf(jobs.insert([aDraft()]))).toBeLessThan(1_500);

    route.thaw();
    await jobs.insert([aDraft()]);
  });

  it('gives up a connection alone that died by itself, while the server answers others', async () => {
    await jobs.insert([aDraft()]);
    route.freeze();
    const lost = timeOf(jobs.insert([aDraft()]));
    route.thaw();

    expect(await lost).toBeLessThan(6_000);
    await jobs.insert([aDraft()]);
  });

  it('waits for a statement that is only slow', async () => {
    expect(await database.query(`SELECT pg_sleep(4), 1 AS one`)).toMatchObject([{ one: 1 }]);
  });

  async function timeOf(call: Promise<unknown>): Promise<number> {
    const start = performance.now();
    await expect(call).rejects.toThrow(RecordUnavailable);
    return performance.now() - start;
  }
});
