import { Redis } from 'ioredis';
import { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.js';

/** What a PostgreSQL needs for a watch, besides the extension `pg_stat_statements` in the database. */
export const WATCHED_SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'all',
  track_wal_io_timing: 'on',
};

const SAMPLING_INTERVAL = 20; // ms

export interface Statement {
  query: string;
  calls: number;
  rows: number;
  /** All calls together, without the commit. */
  ms: number;
}

export interface ServerWatch {
  statements: Statement[];
  /** Of all samples of connections that were at work, how many were seen in each wait, or on the processor. */
  waits: Record<string, number>;
  walSyncs: { count: number; ms: number };
  redis: { command: string; calls: number; ms: number }[];
}

/** Watches both servers while something happens. */
export async function watchServers(bench: Bench, happen: () => Promise<void>): Promise<ServerWatch> {
  const redis = new Redis(bench.redis.url);
  const client = new Client({ connectionString: bench.databaseUrl });
  await client.connect();
  await redis.config('RESETSTAT');
  await client.query(`SELECT pg_stat_statements_reset(), pg_stat_reset_shared('io')`);

  let over = false;
  const waits: Record<string, number> = {};
  const sampling = (async () => {
    while (!over) {
      for (const { wait } of (await client.query<{ wait: string }>(WAITS)).rows)
        waits[wait] = (waits[wait] ?? 0) + 1;
      await sleep(SAMPLING_INTERVAL);
    }
  })();
  await happen().finally(() => (over = true));
  await sampling;

  const statements = (await client.query<Statement>(STATEMENTS)).rows;
  const [walSyncs = { count: 0, ms: 0 }] = (await client.query<{ count: number; ms: number }>(WAL_SYNCS))
    .rows;
  const commands = commandsIn(await redis.info('commandstats'));
  await client.end();
  redis.disconnect();
  return { statements, waits, walSyncs, redis: commands };
}

const WAITS = `
SELECT coalesce(wait_event_type || ': ' || wait_event, 'on the processor') AS wait FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()`;

const STATEMENTS = `
SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 160) AS query, calls::int, rows::int, total_exec_time AS ms
FROM pg_stat_statements
WHERE toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND query !~ 'pg_stat|FROM dispatch\\)$'
ORDER BY total_exec_time DESC`;

/** Since PostgreSQL 18. */
const WAL_SYNCS = `
SELECT coalesce(sum(fsyncs), 0)::int AS count, coalesce(sum(fsync_time), 0)::float8 AS ms
FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend'`;

/** From lines such as `cmdstat_evalsha:calls=3,usec=120,usec_per_call=40.00,…`, busiest first. */
function commandsIn(info: string): ServerWatch['redis'] {
  const lines = info.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm);
  return [...lines]
    .map(([, command = '', calls, microseconds]) => ({
      command,
      calls: Number(calls),
      ms: Number(microseconds) / 1_000,
    }))
    .filter(({ command }) => !['info', 'config|resetstat'].includes(command))
    .sort((a, b) => b.ms - a.ms);
}
