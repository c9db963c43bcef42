import { DataSource } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import { dataSourceOptions, SESSION_LIMITS } from './data-source-options.js';
import { reasonOf } from './database-error.js';
import { sessionsAreKept } from './kept-sessions.js';

const OLDEST_MAJOR = 15;

/** One may hold a lock, and whether sessions are kept shows only between two. */
const CONNECTIONS = 2;

/** As PgBouncer says it. */
const PARAMETER_REFUSED = /unsupported startup parameter/;

/** The database is not one that this platform can run on. The message is one line for the operator. */
export class DatabaseUnfit extends Error {}

/**
 * Connects for as long as `use` needs it.
 * @throws DatabaseUnfit where the server cannot be reached, is too old, cannot be written, or keeps no sessions
 */
export async function withDatabase<T>(
  config: Pick<AppConfig, 'database'>,
  use: (database: DataSource) => Promise<T>,
): Promise<T> {
  const { url } = config.database;
  const options = dataSourceOptions({ database: { url, poolSize: CONNECTIONS } });
  const database = new DataSource({ ...options, logging: false });
  try {
    await database.initialize();
  } catch (error) {
    throw new DatabaseUnfit(
      `DATABASE_URL: cannot connect to PostgreSQL at ${addressOf(config)}: ${adviceOn(reasonOf(error))}`,
    );
  }
  try {
    await assertVersion(database);
    await assertWritable(database);
    await assertSessions(database);
    return await use(database);
  } finally {
    await database.destroy();
  }
}

/** @throws DatabaseUnfit where migrations are pending */
export async function assertMigrated(database: DataSource): Promise<void> {
  if (await database.showMigrations()) {
    throw new DatabaseUnfit('The database schema is not up to date: run `npm run migration:run` first');
  }
}

/**
 * All pools of this process, and of those beside it, must find room.
 * @param wanted connections that they may open together
 */
export async function assertRoomFor(database: DataSource, wanted: number, processes = 1): Promise<void> {
  const [row] = await database.query<{ room: number }[]>(
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS room`,
  );
  if (row && wanted > row.room) {
    const several = processes > 1;
    const whoever = several ? `These ${processes} processes` : 'This process';
    const less = several ? 'PROCESSES or DATABASE_POOL_SIZE' : 'DATABASE_POOL_SIZE';
    throw new DatabaseUnfit(
      `${whoever} may open ${wanted} connections, but PostgreSQL allows ${row.room} in all: lower ${less} or raise max_connections`,
    );
  }
}

async function assertVersion(database: DataSource): Promise<void> {
  const [row] = await database.query<{ version: number; text: string }[]>(
    `SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('server_version') AS text`,
  );
  if (row && row.version < OLDEST_MAJOR) {
    throw new DatabaseUnfit(`PostgreSQL ${row.text} is too old: ${OLDEST_MAJOR} or newer is needed`);
  }
}

async function assertWritable(database: DataSource): Promise<void> {
  const [row] = await database.query<{ standby: boolean; writable: boolean }[]>(
    `SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') = 'off' AS writable`,
  );
  if (row?.standby) {
    throw new DatabaseUnfit(
      'DATABASE_URL names a standby, which can only be read: let it name the primary server',
    );
  }
  if (row && !row.writable) {
    throw new DatabaseUnfit(
      'DATABASE_URL names a database that can only be read (default_transaction_read_only is on): let it name the primary server, or set it off for this role and database',
    );
  }
}

async function assertSessions(database: DataSource): Promise<void> {
  if (await sessionsAreKept(database)) return;
  throw new DatabaseUnfit(
    'DATABASE_URL names a connection pooler that changes sessions between transactions, and locks and settings would get lost: let it name PostgreSQL itself, or a pool in session mode (PgBouncer: pool_mode = session)',
  );
}

function adviceOn(reason: string): string {
  if (!PARAMETER_REFUSED.test(reason)) return reason;
  const names = Object.keys(SESSION_LIMITS).join(',');
  return `${reason}: let DATABASE_URL name PostgreSQL itself, or PgBouncer with pool_mode = session and ignore_startup_parameters = ${names}`;
}

/** Host and database of the URL, without the password. */
function addressOf({ database }: Pick<AppConfig, 'database'>): string {
  const url = URL.canParse(database.url) ? new URL(database.url) : undefined;
  return url ? `${url.host}${url.pathname}` : 'an unreadable URL';
}
