import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { storesOf } from '../support/entry.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';
import { startProcess } from '../support/processes.js';

const AT_ONCE = { durationMs: 0 };

let platform: TestPlatform;
let redis: Redis;

afterEach(async () => {
  redis.disconnect();
  await platform.stop();
});

async function start(shards: number): Promise<void> {
  platform = await startPlatform({ shards, workers: 0 });
  redis = new Redis(platform.redis.url, { lazyConnect: true });
  redis.on('error', () => undefined);
}

/** Runs the command. @returns its exit code, and what a person reads */
async function topologySet(...args: string[]): Promise<{ code: number | null; says: string }> {
  const command = startProcess({ entry: 'set-topology', env: await storesOf(platform), args });
  return { code: await command.exited, says: command.output().trim() };
}

async function stopProcesses(): Promise<void> {
  const running = [...platform.apis.splice(0).map(({ process }) => process), ...platform.workers.splice(0)];
  for (const code of await Promise.all(running.map((process) => process.stop()))) expect(code).toBe(0);
}

async function startProcesses(env: Record<string, string>): Promise<void> {
  await Promise.all([platform.startApi(env), platform.startWorker(env)]);
}

/** Jobs in every state in which they can wait: pushed, not pushed, and not due. */
async function submitAll(): Promise<JobView[]> {
  const many = (count: number, options?: object) =>
    platform.submitMany(Array.from({ length: count }, () => ({ type: 'demo', data: AT_ONCE, options })));
  const pushed = await many(60);
  await platform.untilSql(
    `SELECT count(*)::int FROM dispatch WHERE pushed_at IS NOT NULL AND token IS NULL`,
    60,
  );
  await platform.sql(`INSERT INTO queue_pauses (queue) VALUES ('default')`);
  await sleep(1_200); // a process may take the queue for open a little longer
  const waiting = await many(60);
  const delayed = await many(20, { delay: 2_000 });
  return [...pushed, ...waiting, ...delayed];
}

async function completedOnce(jobs: JobView[]): Promise<void> {
  await platform.sql(`DELETE FROM queue_pauses`);
  await platform.untilSql(`SELECT count(*)::int FROM dispatch`, 0, 60_000);
  const [row] = await platform.sql(`
    SELECT (SELECT count(*)::int FROM jobs WHERE status = 'completed') AS completed,
      (SELECT count(*)::int FROM all_attempts) AS attempts,
      (SELECT count(*)::int FROM job_events) AS events`);
  expect(row).toEqual({ completed: jobs.length, attempts: jobs.length, events: 0 });
}

async function lanesInRedis(): Promise<string[]> {
  const keys = await redis.keys('{*');
  return [...new Set(keys.map((key) => key.slice(0, key.indexOf('}') + 1)))].sort();
}

const shardsInUse = () =>
  platform.value<number[]>(`SELECT array_agg(DISTINCT shard::int ORDER BY shard::int) FROM dispatch`);

it('fewer shards: what waited is delivered once, in the new layout alone', async () => {
  await start(4);
  const jobs = await submitAll();
  await stopProcesses();
  expect(await lanesInRedis()).toHaveLength(4);

  const { code, says } = await topologySet('--shards', '2');
  expect(says).toMatch(
    /^The installation has .*QUEUE_SHARDS=2, and had .*QUEUE_SHARDS=4: \d+ jobs moved, 60 deliveries will be made again\.$/,
  );
  expect(code).toBe(0);
  expect(await lanesInRedis()).toEqual([]);
  expect(await shardsInUse()).toEqual([0, 1]);
  expect(
    await platform.value(`SELECT count(*)::int FROM dispatch WHERE delivery = 2 AND pushed_at IS NULL`),
  ).toBe(60);

  expect(await topologySet('--shards', '2')).toEqual({
    code: 0,
    says: 'Nothing to do: the installation has QUEUE_BACKEND=redis QUEUE_PREFIX=jobs QUEUE_SHARDS=2.',
  });

  await startProcesses({ QUEUE_SHARDS: '2' });
  await completedOnce(jobs);
  expect(await lanesInRedis()).toEqual(['{jobs:default-0}', '{jobs:default-1}']);
});

it('more shards and another prefix: what was claimed by a worker that died is taken back there', async () => {
  await start(1);
  const worker = await platform.startWorker();
  const { id } = await platform.submit('demo', { durationMs: 3_000 });
  await platform.until(id, 'active');
  await worker.kill();
  platform.workers.splice(0);
  const jobs = await submitAll();
  await stopProcesses();

  await platform.sql(`UPDATE workers SET heartbeat_at = now()`); // as if it had died just now
  expect(await topologySet('--shards', '8', '--prefix', 'other')).toEqual({
    code: 1,
    says: expect.stringMatching(/^The installation runs \(alive: worker \S+:\d+\): stop every API/) as string,
  });
  await platform.sql(`
    UPDATE workers SET heartbeat_at = heartbeat_at - interval '1 minute';
    UPDATE dispatch SET claimed_at = claimed_at - interval '1 minute'`);
  expect((await topologySet('--shards', '8', '--prefix', 'other')).says).toMatch(/QUEUE_PREFIX=other/);
  expect(await shardsInUse()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);

  await startProcesses({ QUEUE_SHARDS: '8', QUEUE_PREFIX: 'other' });
  await platform.sql(`DELETE FROM queue_pauses`);
  await platform.untilSql(`SELECT count(*)::int FROM dispatch`, 0, 90_000);
  expect(await platform.value(`SELECT count(*)::int FROM jobs WHERE status = 'completed'`)).toBe(
    jobs.length + 1,
  );
  expect(await platform.sql(`SELECT job_id, kind FROM job_events`)).toEqual([{ job_id: id, kind: 'reaped' }]);
  expect((await lanesInRedis()).every((lane) => lane.startsWith('{other:'))).toBe(true);
});

it('without Redis afterwards, and back', async () => {
  await start(2);
  const jobs = await submitAll();
  await stopProcesses();

  expect((await topologySet('--backend', 'postgres')).says).toBe(
    'PostgreSQL delivers in 1 shard, not in 2: add --shards 1',
  );
  expect((await topologySet('--backend', 'postgres', '--shards', '1')).code).toBe(0);
  expect(await lanesInRedis()).toEqual([]);

  const env = { ...(await storesOf(platform)), REDIS_URL: '', QUEUE_BACKEND: 'postgres', QUEUE_SHARDS: '1' };
  expect(await startProcess({ entry: 'migrate', env }).exited).toBe(0);
  await platform.startApi(env);
  await platform.sql(`DELETE FROM queue_pauses`);
  await platform.untilSql(`SELECT count(*)::int FROM dispatch WHERE pushed_at IS NOT NULL`, jobs.length);
  await stopProcesses();

  expect((await topologySet('--backend', 'redis', '--shards', '3')).says).toMatch(
    /QUEUE_SHARDS=3, .*140 deliveries will be made again/,
  );
  expect(await platform.value(`SELECT count(*)::int FROM bullmq.job`)).toBe(0);
  await startProcesses({ QUEUE_SHARDS: '3' });
  await completedOnce(jobs);
});

it('is refused while the installation runs, without its Redis, and for what makes no sense', async () => {
  await start(2);
  await platform.startWorker();
  await platform.submit('demo', AT_ONCE);
  await platform.untilSql(`SELECT count(*)::int FROM lane_leases`, 2);
  const topology = () => platform.sql(`SELECT backend, prefix, shards FROM topology`);
  const before = await topology();

  expect(await topologySet('--shards', '4')).toEqual({
    code: 1,
    says: expect.stringMatching(
      /^The installation runs \(alive: worker \S+:\d+; relayed: default-0, default-1\): stop every API, worker and dashboard first/,
    ) as string,
  });

  const [worker] = platform.workers.splice(0);
  await worker?.stop();
  await platform.untilSql(`SELECT count(*)::int FROM lane_leases WHERE expires_at > now()`, 2);
  expect((await topologySet('--shards', '4')).says).toMatch(/^The installation runs \(relayed: default-0/);

  await stopProcesses();
  expect((await topologySet()).says).toMatch(
    /^Say what is to change: npm run topology:set -- \[--shards 8\]/,
  );
  expect((await topologySet('--shards', '65')).says).toBe(
    '--shards: expected a whole number from 1 to 64; got "65"',
  );
  expect((await topologySet('--shard', '4')).says).toMatch(/^Unknown option '--shard'/);

  await platform.redis.kill();
  expect(await topologySet('--shards', '4')).toEqual({
    code: 1,
    says: expect.stringMatching(/^Redis does not answer, .*nothing was changed: .*ECONNREFUSED/) as string,
  });
  expect(await topology()).toEqual(before);
});
