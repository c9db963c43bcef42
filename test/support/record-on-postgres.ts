import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import type { AppConfig } from '../../src/config/app-config.js';
import { dataSourceOptions } from '../../src/persistence/data-source-options.js';
import { migrate } from '../../src/persistence/migrate.js';
import { Partitions } from '../../src/persistence/partitions.js';
import { TypeOrmJobRepository } from '../../src/persistence/typeorm-job-repository.js';

/** As much of the configuration as the record needs. */
export function recordConfig(url: string, shards = 1, readUrl?: string): AppConfig {
  return {
    database: { url, poolSize: 10, readUrl },
    submit: { idempotencyTtl: 86_400_000 },
    queue: { backend: 'redis', prefix: 'test', shards },
  } as unknown as AppConfig;
}

/** ms that a call waits for a connection: other suites may keep the machine busy. */
const PATIENCE = 5_000;

export function connect(url: string): Promise<DataSource> {
  return connectAsServed(url, { connectTimeoutMS: PATIENCE });
}

/** With the time-outs of the platform itself. */
export function connectAsServed(url: string, other = {}): Promise<DataSource> {
  return new DataSource({ ...dataSourceOptions(recordConfig(url)), logging: false, ...other }).initialize();
}

/** Runs all migrations, and connects. */
export async function connectMigrated(url: string): Promise<DataSource> {
  const database = await connect(url);
  await migrate(database, () => Promise.resolve());
  return database;
}

/** As one process has it. */
export function repositoryOn(database: DataSource, shards = 1): TypeOrmJobRepository {
  return new TypeOrmJobRepository(database, recordConfig('', shards), new Partitions(database));
}

/** Makes all that is on record `ms` older, ids excepted: for the database, time has passed. */
export async function age(database: DataSource, ms: number): Promise<void> {
  const earlier = (column: string) => `${column} = ${column} - ${ms} * interval '1 ms'`;
  await database.query(`
    UPDATE dispatch SET ${['run_at', 'pushed_at', 'claimed_at', 'expires_at'].map(earlier).join(', ')};
    UPDATE workers SET ${earlier('heartbeat_at')};
    UPDATE lane_leases SET ${earlier('expires_at')};
    UPDATE idempotency_keys SET ${earlier('expires_at')}`);
}

export async function untilAnswers(database: DataSource): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      await database.query('SELECT 1');
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
