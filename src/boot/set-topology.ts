import { parseArgs } from 'node:util';
import type { AppConfig } from '../config/app-config.js';
import { choice, integer, type Parser, queuePrefix } from '../config/parsers.js';
import { assertMigrated, withDatabase } from '../persistence/database-checks.js';
import { changeTopology, liveQueues, TopologyChangeRefused } from '../persistence/topology-change.js';
import { storedTopology, type Topology } from '../persistence/topology.js';
import type { Platform } from '../platform.js';
import { type RetiredQueues, retiredOnPostgres, retiredOnRedis } from '../queue/retired-queues.js';

const USAGE = 'npm run topology:set -- [--shards 8] [--backend redis|postgres] [--prefix jobs]';

/**
 * What the command line asks for.
 * @throws TopologyChangeRefused for what it does not understand
 */
export function wantedTopology(args: readonly string[]): Partial<Topology> {
  const { shards, backend, prefix } = flagsOf(args);
  return {
    ...(shards !== undefined && { shards: valueOf('shards', integer(1, 64), shards) }),
    ...(backend !== undefined && { backend: valueOf('backend', choice('redis', 'postgres'), backend) }),
    ...(prefix !== undefined && { prefix: valueOf('prefix', queuePrefix, prefix) }),
  };
}

/**
 * Changes where a stopped installation delivers its jobs.
 * @returns what was done, for a person to read
 * @throws TopologyChangeRefused, or Error where the old queues cannot be reached: then nothing was changed
 */
export async function setTopology(platform: Platform, asked: Partial<Topology>): Promise<string> {
  const { config } = platform;
  return withDatabase(config, async (database) => {
    await assertMigrated(database);
    const stored = await storedTopology(database.manager);
    if (!stored) {
      throw new TopologyChangeRefused(
        'No process has started on this database yet: the first one stores what its QUEUE_* variables say',
      );
    }
    const wanted = { backend: stored.backend, prefix: stored.prefix, shards: stored.shards, ...asked };
    if (wanted.backend === 'postgres' && wanted.shards !== 1) {
      throw new TopologyChangeRefused(
        `PostgreSQL delivers in 1 shard, not in ${wanted.shards}: add --shards 1`,
      );
    }
    if (textOf(wanted) === textOf(stored)) return `Nothing to do: the installation has ${textOf(stored)}.`;

    const names = new Set([...platform.queues, ...(await liveQueues(database))]);
    const retired = await retiredQueues(config, stored, [...names]);
    try {
      const { moved, withdrawn } = await changeTopology(database, wanted, () => retired.empty());
      return `The installation has ${textOf(wanted)}, and had ${textOf(stored)}: ${moved} jobs moved, ${withdrawn} deliveries will be made again.`;
    } finally {
      await retired.close();
    }
  });
}

function flagsOf(args: readonly string[]): { shards?: string; backend?: string; prefix?: string } {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({ args: [...args], options: { shards: text, backend: text, prefix: text } });
    if (Object.keys(values).length > 0) return values;
  } catch (error) {
    const [problem = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new TopologyChangeRefused(`${problem} (${USAGE})`);
  }
  throw new TopologyChangeRefused(`Say what is to change: ${USAGE}`);
}

function valueOf<Value>(flag: string, parser: Parser<Value>, given: string): Value {
  const { success, data, error } = parser.safeParse(given);
  if (success) return data;
  throw new TopologyChangeRefused(
    `--${flag}: expected ${error.issues[0]?.message ?? 'another value'}; got ${JSON.stringify(given)}`,
  );
}

function textOf({ backend, prefix, shards }: Topology): string {
  return `QUEUE_BACKEND=${backend} QUEUE_PREFIX=${prefix} QUEUE_SHARDS=${shards}`;
}

function retiredQueues(
  { database, queue }: AppConfig,
  { backend, prefix }: Topology,
  names: readonly string[],
): Promise<RetiredQueues> {
  if (backend === 'postgres') return retiredOnPostgres(database.url, prefix, names);
  if (queue.redis) return retiredOnRedis(queue.redis, prefix);
  throw new TopologyChangeRefused('REDIS_URL is not set: the queues that are given up there must be emptied');
}
