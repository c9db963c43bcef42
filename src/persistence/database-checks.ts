import { DataSource } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import { dataSourceOptions } from './data-source-options.js';

const OLDEST_MAJOR = 15;

/** The database is not one that this platform can run on. The message is one line for the operator. */
export class DatabaseUnfit extends Error {}

/** Connects for as long as `use` needs it. @throws DatabaseUnfit where the server cannot be reached or is too old */
export async function withDatabase<T>(
  config: Pick<AppConfig, 'database'>,
  use: (database: DataSource) => Promise<T>,
): Promise<T> {
  const database = new DataSource({ ...dataSourceOptions(config), logging: false });
  try {
    await database.initialize();
  } catch (error) {
    throw new DatabaseUnfit(
      `DATABASE_URL: cannot connect to PostgreSQL at ${addressOf(config)}: ${reasonOf(error)}`,
    );
  }
  try {
    await assertVersion(database);
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
 * All pools of this process together must find room.
 * @param wanted connections that this process may open
 */
export async function assertRoomFor(database: DataSource, wanted: number): Promise<void> {
  const [row] = await database.query<{ room: number }[]>(
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS room`,
  );
  if (row && wanted > row.room) {
    throw new DatabaseUnfit(
      `This process may open ${wanted} connections, but PostgreSQL allows ${row.room} in all: lower DATABASE_POOL_SIZE or raise max_connections`,
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

/** Host and database of the URL, without the password. */
function addressOf({ database }: Pick<AppConfig, 'database'>): string {
  const url = URL.canParse(database.url) ? new URL(database.url) : undefined;
  return url ? `${url.host}${url.pathname}` : 'an unreadable URL';
}

/** An AggregateError (one try per address) has no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
