import {
  assertSchemaCompatibility,
  type ConnectionOptions,
  createPostgresBackend,
  LATEST_SCHEMA_VERSION,
  runMigrations,
  SchemaMigrationRequiredError,
  setDefaultBackendFactory,
} from 'bullmq';
import pg from 'pg';
import type { QueueMark } from '../jobs/job-queue.js';
import { QUERY_CONNECTIONS } from './connection-count.js';
import { QueueConnection } from './queue-connection.js';
import { within } from './within.js';

/** BullMQ's tables stand in a schema of their own. */
const SEARCH_PATH = 'bullmq,public';

/** The record's own database: the mark cannot be lost alone, so it is never missing and never too low. */
const LASTING_MARK: QueueMark = { epoch: Infinity, server: 'postgres' };

/**
 * Brings BullMQ's schema in PostgreSQL up to date. Idempotent, one transaction under BullMQ's own lock.
 * @param client one session, not a pool
 */
export async function migratePostgresBackend(client: pg.ClientBase): Promise<void> {
  await runMigrations(client);
}

/** BullMQ's PostgreSQL backend, on a pool that all queues and workers of the process share. */
export class PostgresConnection extends QueueConnection {
  private readonly clients = new Set<pg.PoolClient>();

  private constructor(private readonly pool: pg.Pool) {
    super();
    pool.setMaxListeners(0); // every lane listens
    pool.on('error', (error) => this.outages.failed(error));
    pool.on('connect', (client) => this.clients.add(client));
    pool.on('remove', (client) => this.clients.delete(client));
  }

  /** @throws Error where BullMQ's schema is missing or older than this code: the boot must not go on */
  static async open(databaseUrl: string): Promise<PostgresConnection> {
    const connection = new PostgresConnection(
      new pg.Pool({
        connectionString: databaseUrl,
        options: `-c search_path=${SEARCH_PATH}`,
        application_name: 'jobs-queue',
        max: QUERY_CONNECTIONS,
        connectionTimeoutMillis: 2_000,
        query_timeout: 15_000,
        keepAlive: true,
        allowExitOnIdle: true,
      }),
    );
    connection.selectBackend();
    try {
      await connection.assertOptionsKept();
      await connection.assertMigrated();
      return connection;
    } catch (error) {
      await connection.onApplicationShutdown();
      throw error;
    }
  }

  get producer(): ConnectionOptions {
    return this.pool;
  }

  selectBackend(): void {
    setDefaultBackendFactory(createPostgresBackend);
  }

  async connect(): Promise<void> {
    // the pool connects when it is asked something
  }

  reasonFor(error: unknown): unknown {
    return error;
  }

  makeRoom(workers: number): void {
    this.pool.options.max += workers;
  }

  consumerOf(): undefined {
    // it asks over the pool
  }

  async ping(): Promise<void> {
    await this.pool.query('SELECT 1');
  }

  readMark(): Promise<QueueMark> {
    return Promise.resolve(LASTING_MARK);
  }

  /** Nothing to write: see LASTING_MARK. */
  writeMark(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async onApplicationShutdown(): Promise<void> {
    await within(2_000, this.pool.end()).catch(() => undefined);
    for (const client of this.clients) letGo(client);
  }

  private async assertOptionsKept(): Promise<void> {
    const { rows } = await this.pool.query<{ path: string }>(`SELECT current_setting('search_path') AS path`);
    if (rows[0]?.path === SEARCH_PATH) return;
    throw new Error(
      'DATABASE_URL names a connection pooler that drops start-up options, without which PostgreSQL cannot deliver jobs: let it name PostgreSQL itself',
    );
  }

  private async assertMigrated(): Promise<void> {
    const version = await assertSchemaCompatibility(this.pool).catch((error: unknown) => {
      if (error instanceof SchemaMigrationRequiredError) return 0;
      throw error;
    });
    if (version < LATEST_SCHEMA_VERSION) {
      throw new Error(
        `The queue's tables in PostgreSQL are at version ${version} of ${LATEST_SCHEMA_VERSION}: run \`QUEUE_BACKEND=postgres npm run migration:run\` first`,
      );
    }
  }
}

/** A server that hangs never closes its side, and its connections would keep the process alive. */
function letGo(pooled: pg.PoolClient): void {
  const client = pooled as unknown as pg.Client & { unref(): void };
  client.end().catch(() => undefined); // fails at once what still waits for an answer
  client.unref();
}
