import { Queue } from 'bullmq';
import type { RedisServers } from '../config/redis-servers.js';
import { errorText } from '../logging/log-entry.js';
import { laneName, lanePrefix, lanesOf } from './lanes.js';
import { PostgresConnection } from './postgres-backend.js';
import { operatorClient } from './redis-clients.js';
import { fromEach } from './redis-nodes.js';

/** Keys asked for, and deleted, at a time. */
const PAGE = 1_000;

/** The queues that an installation leaves behind when it changes where jobs are delivered. */
export interface RetiredQueues {
  /** Deletes all that they hold. May be repeated. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Everything under the prefix, on every server: queues that no job type names any more are found as well.
 * @throws Error where one of them does not answer
 */
export async function retiredOnRedis(servers: RedisServers, prefix: string): Promise<RetiredQueues> {
  const redis = operatorClient(servers);
  let reason: Error | undefined; // the client's own error tells that the connection is closed, not why
  redis.on('error', (error: Error) => (reason = error));
  try {
    await redis.connect();
    await fromEach(redis, (client) => client.ping());
  } catch (error) {
    redis.disconnect();
    throw new Error(
      `Redis does not answer, so its queues cannot be emptied, and nothing was changed: ${reason ? errorText(reason) : String(error)}`,
      { cause: error },
    );
  }
  return {
    async empty() {
      // As \`lanePrefix\` writes it: letters, digits, - and _ mean nothing to MATCH.
      const match = `{${prefix}:*}:*`;
      await fromEach(redis, async (client) => {
        for await (const keys of client.scanStream({ match, count: PAGE })) {
          // Lanes lie in different slots, and a Cluster takes keys of one slot at a time.
          await Promise.all([...byTag(keys as string[])].map((lane) => client.unlink(lane)));
        }
      });
    },
    async close() {
      redis.disconnect();
    },
  };
}

function byTag(keys: readonly string[]): Iterable<string[]> {
  const lanes = new Map<string, string[]>();
  for (const key of keys) {
    const tag = key.slice(0, key.indexOf('}'));
    const lane = lanes.get(tag);
    if (lane) lane.push(key);
    else lanes.set(tag, [key]);
  }
  return lanes.values();
}

/** On BullMQ's own tables, where a queue is known by its name alone. */
export async function retiredOnPostgres(
  url: string,
  prefix: string,
  names: readonly string[],
): Promise<RetiredQueues> {
  const connection = await PostgresConnection.open(url);
  return {
    async empty() {
      connection.selectBackend();
      for (const lane of lanesOf([...names], 1)) {
        const queue = new Queue(laneName(lane), {
          connection: connection.producer,
          prefix: lanePrefix(prefix, lane),
        });
        await queue.obliterate({ force: true });
        await queue.close();
      }
    },
    async close() {
      await connection.onApplicationShutdown();
    },
  };
}
