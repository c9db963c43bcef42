import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { Partitions } from '../../src/persistence/partitions.js';
import { ReadDatabase } from '../../src/persistence/read-database.js';
import { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';
import { type FrozenRoute, routeTo } from '../support/frozen-route.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres, type PrivatePostgres } from '../support/postgres.js';
import { connect, connectMigrated, recordConfig } from '../support/record-on-postgres.js';

const AWAY = /^Lists are read from the primary, since DATABASE_READ_URL does not answer: /;
const BACK = 'Lists are read from the replica again';

describe('lists with a streaming replica', () => {
  let standby: PrivatePostgres;
  let primary: DataSource;
  let replica: DataSource;
  let route: FrozenRoute;
  let lists: ReadDatabase;
  let jobs: TypeOrmJobRepository;
  let warn: jest.SpyInstance;
  let log: jest.SpyInstance;

  beforeAll(async () => {
    const server = await startPostgres();
    const url = await server.createDatabase();
    await (await connectMigrated(url)).destroy();
    standby = await server.startStandby();
    const readUrl = standby.urlOf(new URL(url).pathname.slice(1));
    [primary, replica, route] = await Promise.all([connect(url), connect(readUrl), routeTo(readUrl)]);
    await new Partitions(primary).ensure();

    const config = recordConfig(url, 1, route.urlTo(readUrl));
    lists = new ReadDatabase(primary, config);
    jobs = new TypeOrmJobRepository(primary, config, new Partitions(primary), lists);
    await lists.onApplicationBootstrap();
  });

  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    log = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
  });

  afterEach(() => jest.restoreAllMocks());

  afterAll(async () => {
    await lists.onApplicationShutdown();
    await Promise.all([primary.destroy(), replica.destroy()]);
  });

  it('come from the replica, as late as it is, while a job by its id comes from the primary', async () => {
    await replica.query('SELECT pg_wal_replay_pause()');
    const id = await submitted();

    expect(await listed(id)).toBe(false);
    expect(await jobs.find('default', id)).toMatchObject({ id });

    await replica.query('SELECT pg_wal_replay_resume()');
    await until(() => listed(id));
    expect(warn).not.toHaveBeenCalled();
  });

  it('come from the primary while the replica is dead, with one warning, and from it again after that', async () => {
    await standby.kill();
    const id = await submitted();
    for (let list = 0; list < 20; list++) expect(await listed(id)).toBe(true);
    expect(warn.mock.calls).toEqual([[expect.stringMatching(AWAY)]]);

    await standby.start();
    await until(async () => (await listed(id)) && log.mock.calls.length > 0);
    expect(log.mock.calls).toEqual([[BACK]]);
    expect(await fromReplica()).toBe(true);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it('wait a few seconds once for a replica that vanishes without a word, and then not at all', async () => {
    const id = await submitted();
    await until(() => listed(id));
    route.freeze();

    const start = performance.now();
    expect(await listed(id)).toBe(true);
    expect(performance.now() - start).toBeLessThan(4_500);
    const then = performance.now();
    expect(await listed(await submitted())).toBe(true);
    expect(performance.now() - then).toBeLessThan(500);

    route.thaw();
    expect(warn.mock.calls).toEqual([[expect.stringMatching(AWAY)]]);
  });

  it('come from the primary where the replica has not got the schema', async () => {
    const config = recordConfig('', 1, standby.url);
    const elsewhere = new ReadDatabase(primary, config);
    const stranger = new TypeOrmJobRepository(primary, config, new Partitions(primary), elsewhere);
    const id = await submitted();

    const { jobs: page } = await stranger.page('default', {}, { limit: 1 });
    expect(page).toMatchObject([{ id }]);
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/relation "jobs" does not exist/)]]);
    await elsewhere.onApplicationShutdown();
  });

  async function submitted(): Promise<string> {
    const [job] = await jobs.insert([aDraft()]);
    if (!job) throw new Error('no job came back');
    return job.id;
  }

  async function listed(id: string): Promise<boolean> {
    const { jobs: page } = await jobs.page('default', {}, { limit: 100 });
    return page.some((job) => job.id === id);
  }

  /** Only a primary shows what a replica that has stopped to replay has not heard of. */
  async function fromReplica(): Promise<boolean> {
    await replica.query('SELECT pg_wal_replay_pause()');
    const shown = await listed(await submitted());
    await replica.query('SELECT pg_wal_replay_resume()');
    return !shown;
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 15_000;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error('it did not come true');
      await sleep(50);
    }
  }
});
