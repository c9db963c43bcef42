import type { DataSource } from 'typeorm';
import { SESSION_LIMITS } from './data-source-options.js';

/** Clocks further apart, in ms, are told of. */
const LARGEST_OFFSET = 1_000;

/** What works, but not as it should: each a line for the operator, with what to change. */
export async function databaseWarnings(database: DataSource): Promise<string[]> {
  const warnings = [
    ...(await crashWarnings(database)),
    await clockWarning(database),
    await limitsWarning(database),
  ];
  return warnings.filter((warning) => warning !== undefined);
}

/** `synchronous_commit` is not among them: what must last sets it for itself. */
async function crashWarnings(database: DataSource): Promise<string[]> {
  const [row] = await database.query<{ fsync: string; pages: string }[]>(
    `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages`,
  );
  return [
    ...(row?.fsync === 'off'
      ? [
          'PostgreSQL does not wait for its disk (fsync is off): a crash of its machine may lose accepted jobs, or the whole database; set fsync = on',
        ]
      : []),
    ...(row?.pages === 'off'
      ? [
          'PostgreSQL does not guard against half-written pages (full_page_writes is off): a crash of its machine may damage the database; set full_page_writes = on, unless its file system rules them out',
        ]
      : []),
  ];
}

/** The database's clock is compared with the middle of the round trip; what the trip itself leaves open is not counted. */
async function clockWarning(database: DataSource): Promise<string | undefined> {
  const [sent, began] = [Date.now(), performance.now()];
  const [row] = await database.query<{ now: number }[]>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`,
  );
  const half = (performance.now() - began) / 2;
  const behind = (row?.now ?? sent) - (sent + half);
  if (Math.abs(behind) - half <= LARGEST_OFFSET) return undefined;

  const seconds = Math.round(Math.abs(behind) / 100) / 10;
  return `The clock of this process is ${seconds} s ${behind > 0 ? 'behind' : 'ahead of'} the database's, which alone decides when jobs are due and which workers live; log lines bear the other time: synchronise both machines (NTP)`;
}

/** A pooler may be told to accept what a session is given as it starts, and drops it then. */
async function limitsWarning(database: DataSource): Promise<string | undefined> {
  const rows = await database.query<{ name: string; setting: string }[]>(
    `SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])`,
    [Object.keys(SESSION_LIMITS)],
  );
  const actual = new Map(rows.map(({ name, setting }) => [name, Number(setting)]));
  const dropped = Object.entries(SESSION_LIMITS).filter(([name, limit]) => actual.get(name) !== limit);
  if (dropped.length === 0) return undefined;

  const wanted = dropped.map(([name, limit]) => `${name} = ${limit}`).join(', ');
  return `A connection pooler drops what this process sets for its sessions: let DATABASE_URL name PostgreSQL itself, or set for its role (ALTER ROLE) ${wanted}`;
}
