import { startPlatform, type TestPlatform } from '../support/platform.js';

const SHARDS = 6;
const JOBS = 300;

let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ shards: SHARDS, masters: 3 });
});
afterAll(() => platform.stop());

/** The shards of which this master holds a key, as SCAN shows it. */
async function shardsOn(n: number): Promise<number[]> {
  const keys = (await platform.cluster.nodes[n]!.command('SCAN 0 COUNT 100000')).match(
    /\{jobs:default-\d+\}/g,
  );
  return [...new Set(keys?.map((key) => Number(/\d+/.exec(key)?.[0])))].sort((a, b) => a - b);
}

it('runs every job, and each master holds some of the shards', async () => {
  const made = await platform.submitMany(
    Array.from({ length: JOBS }, () => ({ type: 'demo', data: { durationMs: 1 } })),
  );

  await platform.untilSql(`SELECT count(*)::int FROM jobs WHERE status = 'completed'`, JOBS);
  expect(made).toHaveLength(JOBS);
  const held = await Promise.all([0, 1, 2].map(shardsOn));
  expect(held.map((shards) => shards.length > 0)).toEqual([true, true, true]);
  expect(held.flat().sort()).toEqual([...Array(SHARDS).keys()]);
});
