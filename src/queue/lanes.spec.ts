import { concurrencyOf, lanePrefix, lanesOf } from './lanes.js';

describe('lanes', () => {
  it('are every shard of every queue', () => {
    expect(lanesOf(['default', 'mail'], 2)).toEqual([
      { queue: 'default', shard: 0 },
      { queue: 'default', shard: 1 },
      { queue: 'mail', shard: 0 },
      { queue: 'mail', shard: 1 },
    ]);
  });

  it('keep their Redis keys in one slot each', () => {
    expect(lanePrefix('jobs', { queue: 'mail', shard: 3 })).toBe('{jobs:mail-3}');
  });

  it.each([
    { total: 10, shards: 4, shares: [3, 3, 2, 2] },
    { total: 50, shards: 1, shares: [50] },
    { total: 2, shards: 4, shares: [1, 1, 1, 1] },
  ])('share $total places over $shards shards', ({ total, shards, shares }) => {
    expect(shares.map((_, shard) => concurrencyOf(shard, total, shards))).toEqual(shares);
  });
});
