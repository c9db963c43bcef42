import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { launch } from '../support/child.js';
import { type JobView, TestPlatform } from '../support/platform.js';
import { describeMissingPostgres, startPostgres, systemPostgresAvailable } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';

const BINARIES = '/usr/lib/postgresql/15/bin';
const HOUR = 3_600_000;

// PostgreSQL's own tools make the dump, and only Debian's package brings them along.
const describeBackUp = systemPostgresAvailable() ? describe : describeMissingPostgres;

describeBackUp('a back-up, made and restored by the lines of docs/deploy.md', () => {
  const [backUp, restore] = shellBlocks('Back-up and restore');
  let folder: string;
  let platform: TestPlatform;
  let before: JobView[];
  let ids: { active: string; delayed: string; soon: string; waiting: string[]; later: string };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jobs-backup-'));
    platform = await emptyPlatform();
    await platform.migrate();
    await platform.startApi();

    const worker = await platform.startWorker();
    const demo = (data: object, options = {}) => platform.submit('demo', { durationMs: 0, ...data }, options);
    const completed = await demo({ steps: 2, failAttempts: 1, result: { answer: 42 } }, retryAtOnce);
    const failed = await demo({ failAttempts: 9 }, retryAtOnce);
    await platform.until(completed.id, 'completed');
    await platform.until(failed.id, 'failed');
    const active = await demo({ durationMs: 3_000 });
    await platform.until(active.id, 'active');
    await worker.kill(); // what runs at the time of a dump has no worker where it is restored

    const delayed = await demo({}, { delay: HOUR });
    const soon = await demo({}, { delay: 1_000 });
    const waiting = await platform.submitMany(
      Array.from({ length: 20 }, (_, n) => ({ type: 'demo', data: { durationMs: 0, result: n } })),
    );
    await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE pushed_at IS NULL', 1);
    before = await records();

    await carryOut(backUp);
    ids = {
      active: active.id,
      delayed: delayed.id,
      soon: soon.id,
      waiting: waiting.map(({ id }) => id),
      later: (await demo({})).id,
    };
    // The installation goes on after it: the waiting jobs run.
    await platform.startWorker();
    await Promise.all(ids.waiting.map((id) => platform.until(id, 'completed')));
  });
  afterAll(async () => {
    await platform?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is a file of its own', () => {
    expect(statSync(join(folder, 'jobs.dump')).size).toBeGreaterThan(1_000);
  });

  it('brings every job back as it was at the dump, and fills the queue', async () => {
    await carryOut(restore);

    expect((await platform.request('GET', `/jobs/${ids.later}`)).status).toBe(404);
    expect(await records()).toEqual(before);
    await untilQueueHolds([ids.soon, ...ids.waiting]);
  });

  it('runs what was waiting, each once, and what was running, once more', async () => {
    await platform.startWorker();
    const restored = performance.now();
    for (const id of [...ids.waiting, ids.soon])
      expect(await platform.until(id, 'completed')).toMatchObject({ attemptsMade: 1 });

    expect(await platform.until(ids.active, 'completed', 60_000)).toMatchObject({ attemptsMade: 1 });
    process.stdout.write(`the job that ran at the dump: done after ${seconds(restored)} s\n`);
    expect(await platform.job(ids.delayed)).toEqual(before.find(({ id }) => id === ids.delayed));
  });

  it('accepts and runs new jobs', async () => {
    const { id } = await platform.submit('demo', { durationMs: 0 });

    await platform.until(id, 'completed');
  });

  /** As the Compose file has it: the role and the database are called `jobs`, and the role is a superuser. */
  async function emptyPlatform(): Promise<TestPlatform> {
    const [postgres, redis] = await Promise.all([startPostgres({ binaries: 'system' }), startRedis()]);
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query('CREATE ROLE jobs LOGIN SUPERUSER');
    await client.query('CREATE DATABASE jobs OWNER jobs');
    await client.end();

    const database = new URL(postgres.url);
    database.username = 'jobs';
    database.pathname = 'jobs';
    return new TestPlatform(postgres, redis, {
      DATABASE_URL: database.href,
      REDIS_URL: redis.url,
      RATE_LIMIT_PER_MINUTE: '0',
      LOG_FORMAT: 'json',
      SMTP_URL: 'smtp://127.0.0.1:9',
    });
  }

  /** Does what a person types, with the test's servers in place of containers. */
  async function carryOut(lines: string[] = []): Promise<void> {
    expect(lines).not.toEqual([]);
    for (const line of lines) {
      const [, tool = ''] = line.match(/^docker compose exec -T postgres (.*)$/) ?? [];
      if (tool !== '') await runTool(tool);
      else await COMPOSE[line]?.();
      expect([line, tool !== '' || line in COMPOSE]).toEqual([line, true]);
    }
  }

  const COMPOSE: Record<string, () => Promise<unknown>> = {
    'docker compose stop api worker dashboard': async () => {
      const processes = [
        ...platform.apis.splice(0).map(({ process }) => process),
        ...platform.workers.splice(0),
      ];
      await Promise.all(processes.map((process) => process.stop()));
    },
    'docker compose exec -T redis redis-cli flushall': () => platform.redis.flushAll(),
    // Without the worker, so that what is restored can be looked at.
    'docker compose up -d': async () => {
      await platform.migrate();
      await platform.startApi();
    },
  };

  async function runTool(command: string): Promise<void> {
    const { hostname, port } = new URL(platform.postgres.url);
    const env = { PATH: `${BINARIES}:${process.env.PATH}`, PGHOST: hostname, PGPORT: port };
    const tool = launch('sh', ['-c', command], { env, cwd: folder });
    if ((await tool.exited) !== 0) throw new Error(`${command}:\n${tool.output()}`);
  }

  /** Every job, in full; but for when it was handed to the queue, which is another one now. */
  async function records(): Promise<JobView[]> {
    const jobs = await platform.listAll();
    const full = await Promise.all(jobs.map(({ id }) => platform.job(id)));
    return full.map((job) => ({ ...job, enqueuedAt: null }));
  }

  async function untilQueueHolds(jobIds: string[]): Promise<void> {
    const query = 'activeQueue=default-0&status=prioritized&page=1&jobsPerPage=100';
    for (let held: string[] = []; held.length < jobIds.length;) {
      const { body } = await platform.request<{ queues: { jobs: { id: string }[] }[] }>(
        'GET',
        `/admin/queues/api/queues?${query}`,
      );
      held = body.queues[0]?.jobs.map(({ id }) => id.replace(/_\d+$/, '')) ?? [];
      await sleep(50);
    }
  }
});

const retryAtOnce = { attempts: 2, backoff: { kind: 'fixed', delay: 10 } };

/** The fenced shell lines of a section of docs/deploy.md, block by block. */
function shellBlocks(heading: string): string[][] {
  const page = readFileSync(fileURLToPath(new URL('../../docs/deploy.md', import.meta.url)), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block.trimEnd().split('\n'));
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}
