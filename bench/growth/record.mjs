/** The platform's own record on a database, as one process has it. */
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../dist/persistence/data-source-options.js';
import { TypeOrmJobRepository } from '../../dist/persistence/typeorm-job-repository.js';

export async function migrated(url) {
  const database = await new DataSource({
    ...dataSourceOptions({ database: { url, poolSize: 10 } }),
    logging: false,
  }).initialize();
  await database.runMigrations();
  return database;
}

export function repositoryOn(database) {
  const config = {
    queue: { shards: 1 },
    submit: { idempotencyTtl: 86_400_000 },
    database: { poolSize: 10 },
  };
  return new TypeOrmJobRepository(database, config, { ensure: async () => undefined });
}
