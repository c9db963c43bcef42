import { Redis } from 'ioredis';
import type { TestPlatform } from '../../support/platform.js';

/** Deliveries that wait in Redis, over all shards of a queue, as BullMQ keeps them. */
export function deliveriesIn(platform: TestPlatform, queue = 'default'): Promise<number> {
  return asking(platform, async (client) => {
    const lanes = Array.from({ length: Number(platform.env['QUEUE_SHARDS']) }, (_, n) => `${queue}-${n}`);
    const counts = await Promise.all(lanes.map((lane) => client.zcard(`{jobs:${lane}}:${lane}:prioritized`)));
    return counts.reduce((sum, count) => sum + count, 0);
  });
}

export function redisVersion(platform: TestPlatform): Promise<string | undefined> {
  return asking(platform, async (client) => /redis_version:(\S+)/.exec(await client.info('server'))?.[1]);
}

async function asking<Answer>(
  platform: TestPlatform,
  ask: (client: Redis) => Promise<Answer>,
): Promise<Answer> {
  const client = new Redis(platform.anyRedis.url, { lazyConnect: true, maxRetriesPerRequest: 1 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await ask(client);
  } finally {
    client.disconnect();
  }
}
