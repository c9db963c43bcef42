import { setTimeout as sleep } from 'node:timers/promises';
import { storesOf } from '../support/entry.js';
import { startPlatform, type TestPlatform } from '../support/platform.js';
import { startProcess } from '../support/processes.js';
import { startRedis } from '../support/redis.js';

const SHARDS = 6;
const JOBS = 300;

let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ shards: SHARDS, masters: 3 });
});
afterAll(() => platform.stop());

/** The shards of which each master holds a key, as SCAN shows it. */
function shardsByMaster(): Promise<number[][]> {
  return Promise.all(
    platform.cluster.nodes.map(async (node) => {
      const keys = (await node.command('SCAN 0 COUNT 100000')).match(/\{jobs:default-\d+\}/g) ?? [];
      return [...new Set(keys.map((key) => Number(/\d+/.exec(key)?.[0])))];
    }),
  );
}

/** Asks until the answer is as it should be. */
async function untilReadiness(status: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { text } = await platform.request('GET', '/health/ready');
    if (text.includes(`"status":"${status}","version"`)) return;
    if (Date.now() > deadline) throw new Error(`expected ${status}: ${text}`);
  }
}

/** How often a shard was found to be lost, or on another server, in all processes. */
async function rebuilt(): Promise<number> {
  return (await platform.request<{ drift: { rebuilt: number } }>('GET', '/stats')).body.drift.rebuilt;
}

async function untilRebuilt(count: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while ((await rebuilt()) < count) {
    if (Date.now() > deadline) throw new Error(`rebuilt ${await rebuilt()} times, not ${count}`);
    await sleep(100);
  }
}

async function board(): Promise<{ name: string; description?: string }[]> {
  const { status, body } = await platform.request<{ queues: { name: string; description?: string }[] }>(
    'GET',
    '/admin/queues/api/queues',
  );
  expect(status).toBe(200);
  return body.queues;
}

it('runs every job, and each master holds some of the shards', async () => {
  const jobs = Array.from({ length: JOBS }, () => ({ type: 'demo', data: { durationMs: 1, steps: 1 } }));
  await platform.submitMany(jobs);

  await platform.untilSql(`SELECT count(*)::int FROM jobs WHERE status = 'completed'`, JOBS);
  const held = await shardsByMaster();
  expect(Math.min(...held.map((shards) => shards.length))).toBeGreaterThan(0);
  expect(held.flat().sort()).toEqual([...Array(SHARDS).keys()]);
});

it('is degraded without one master, shows what the others hold, and runs their jobs', async () => {
  const [gone] = platform.cluster.nodes;
  const away = (await shardsByMaster())[0] ?? [];
  await gone?.kill();

  await untilReadiness('degraded');
  const silent = (await board()).filter(({ description }) => description?.includes('does not answer'));
  expect(silent.map(({ name }) => name).sort()).toEqual(away.map((shard) => `default-${shard}`).sort());
  await platform.submitMany(Array.from({ length: 60 }, () => ({ type: 'demo', data: { durationMs: 0 } })));
  const left = `SELECT count(*)::int FROM dispatch WHERE NOT shard = ANY('{${away.join(',')}}')`;
  await platform.untilSql(left, 0);
  expect(await platform.value('SELECT count(*)::int FROM dispatch')).toBeGreaterThan(0);

  const before = await rebuilt();
  await gone?.start();
  await untilReadiness('ok');
  await untilRebuilt(before + away.length);
  await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
});

it('fills a shard again when its slot has moved to another master, and no other shard', async () => {
  const before = await rebuilt();
  const [, second, third] = platform.cluster.nodes;
  const key = '{jobs:default-3}';
  expect(await platform.cluster.nodeOf(key)).toBe(second);

  await platform.cluster.moveSlotOf(key, third!);
  await untilRebuilt(before + 1);
  await sleep(2_000); // about two looks at every mark
  expect(await rebuilt()).toBe(before + 1);
  await platform.submitMany(Array.from({ length: 60 }, () => ({ type: 'demo', data: { durationMs: 0 } })));
  await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
});

it('topology:set empties retired shards on every master, and refuses while one is away', async () => {
  const running = [...platform.apis.splice(0).map(({ process }) => process), ...platform.workers.splice(0)];
  expect(await Promise.all(running.map((process) => process.stop()))).toEqual([0, 0]);
  const env = await storesOf(platform);
  const shrink = async () => {
    const command = startProcess({ entry: 'set-topology', env, args: ['--shards', '1'] });
    return { code: await command.exited, says: command.output() };
  };
  const [first] = platform.cluster.nodes;

  await first?.kill();
  expect(await shrink()).toEqual({ code: 1, says: expect.stringContaining(`127.0.0.1:${first?.port}`) });
  await first?.start();
  await platform.cluster.isWhole();
  expect(await shrink()).toMatchObject({ code: 0 });
  expect((await shardsByMaster()).flat()).toEqual([]);
});

it.each([
  ['a node alone', async () => platform.cluster.first.url, /node of a Cluster.*write redis\+cluster:\/\//],
  ['a Cluster that is none', async () => `redis+cluster://127.0.0.1:${(await startRedis()).port}`, /alone/],
])('refuses to start with %s', async (_, urlOf, says) => {
  const env = { ...(await storesOf(platform)), REDIS_URL: await urlOf(), QUEUE_SHARDS: '1' };
  const worker = startProcess({ entry: 'worker', env: { ...env, SMTP_URL: 'smtp://127.0.0.1:9' } });

  expect(await worker.exited).toBe(1);
  expect(worker.output()).toMatch(says);
});
