import pg from 'pg';
import type { AppConfig } from '../config/app-config.js';
import { withDatabase } from '../persistence/database-checks.js';
import { migrate } from '../persistence/migrate.js';
import { migratePostgresBackend } from '../queue/postgres-backend.js';

/** The platform's migrations, then the queue's where PostgreSQL delivers. @returns the platform's that ran */
export function migrateStores(config: AppConfig): Promise<string[]> {
  return withDatabase(config, (database) => migrate(database, () => migrateQueue(config)));
}

async function migrateQueue({ queue, database }: AppConfig): Promise<void> {
  if (queue.backend !== 'postgres') return;
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await migratePostgresBackend(client);
  } finally {
    await client.end();
  }
}
