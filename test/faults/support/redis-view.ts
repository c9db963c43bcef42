import { Redis } from 'ioredis';
import type { TestPlatform } from '../../support/platform.js';

/** Deliveries that wait in Redis, over all shards of a queue, as BullMQ keeps them. */
export async function deliveriesIn({ redis, env }: TestPlatform, queue = 'default'): Promise<number> {
  const client = new Redis(redis.url, { lazyConnect: true, maxRetriesPerRequest: 1 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const shards = Array.from({ length: Number(env['QUEUE_SHARDS']) }, (_, shard) => `${queue}-${shard}`);
    const counts = await Promise.all(
      shards.map((lane) => client.zcard(`{jobs:${lane}}:${lane}:prioritized`)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } finally {
    client.disconnect();
  }
}
