import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { clustersFolder, type PostgresOptions, type PrivatePostgres, startPostgres } from './postgres.js';
import { startProcess } from './processes.js';

const DATABASE = 'platform';

/** Of the queue, whose migrations run too where it is on PostgreSQL. */
type Environment = Record<string, string>;

/**
 * A private server with a database that is migrated as `env` asks for. Making and migrating one keeps a core busy for
 * seconds, so that the clusters of one run are copies of the first.
 */
export async function startMigratedPostgres(
  options: Pick<PostgresOptions, 'settings'>,
  env: Environment,
): Promise<{ postgres: PrivatePostgres; url: string }> {
  const folder = clustersFolder();
  const original = folder && join(folder, env['QUEUE_BACKEND'] ?? 'redis');
  if (original && !existsSync(original)) await (await migratedPostgres({}, env)).saveAs(original);

  const postgres = original
    ? await startPostgres({ ...options, copyOf: original })
    : await migratedPostgres(options, env);
  return { postgres, url: postgres.urlOf(DATABASE) };
}

async function migratedPostgres(options: PostgresOptions, env: Environment): Promise<PrivatePostgres> {
  const postgres = await startPostgres(options);
  const url = await postgres.createDatabase(DATABASE);
  const process = startProcess({ entry: 'migrate', env: { ...env, DATABASE_URL: url } });
  if ((await process.exited) !== 0) throw new Error(`migrate failed:\n${process.output()}`);
  return postgres;
}
