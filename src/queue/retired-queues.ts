import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { errorText } from '../logging/log-entry.js';
import { laneName, lanePrefix, lanesOf } from './lanes.js';
import { PostgresConnection } from './postgres-backend.js';

/** Keys asked for, and deleted, at a time. */
const PAGE = 1_000;

/** The queues that an installation leaves behind when it changes where jobs are delivered. */
export interface RetiredQueues {
  /** Deletes all that they hold. May be repeated. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** Everything under the prefix: queues that no job type names any more are found as well. @throws Error where Redis does not answer */
export async function retiredOnRedis(url: string, prefix: string): Promise<RetiredQueues> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 10_000,
    retryStrategy: () => null,
  });
  let reason: Error | undefined; // the client's own error tells that the connection is closed, not why
  redis.on('error', (error) => (reason = error));
  try {
    await redis.connect();
    await redis.ping();
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
      for await (const keys of redis.scanStream({ match, count: PAGE })) {
        if ((keys as string[]).length > 0) await redis.unlink(keys as string[]);
      }
    },
    async close() {
      redis.disconnect();
    },
  };
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
