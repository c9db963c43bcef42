import { Client } from 'pg';
import { Redis } from 'ioredis';
import { fileURLToPath } from 'node:url';
import { launch } from '../../test/support/child.js';
import { freePort } from '../../test/support/ports.js';
import { type PrivatePostgres, startPostgres } from '../../test/support/postgres.js';
import { AppProcess, startProcess } from '../../test/support/processes.js';
import { type PrivateRedis, startRedis } from '../../test/support/redis.js';

/** As an installation that must lose nothing is set; the sizes keep checkpoints out of a round. */
export const POSTGRES_SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
};
export const REDIS_SETTINGS = { appendfsync: 'everysec', 'maxmemory-policy': 'noeviction' };

/** A database in which the schema of the platform stands, and no row. */
const MIGRATED = 'migrated';

export interface BenchOptions {
  quick: boolean;
  /** Of one measurement. */
  seconds: number;
  warmUp: number;
}

/** An HTTP server among the contestants, and where it listens. */
export interface Served {
  process: AppProcess;
  url: string;
}

/** As `npm run start:api`, `npm run start:worker` and the image start it. */
export const AS_SHIPPED = { NODE_OPTIONS: '--max-semi-space-size=32' };

/** The servers that all contestants share, and how their processes are started on them. */
export class Bench {
  #database = MIGRATED;

  private constructor(
    readonly postgres: PrivatePostgres,
    readonly redis: PrivateRedis,
    readonly options: BenchOptions,
  ) {}

  static async open(options: BenchOptions, settings: Record<string, string> = {}): Promise<Bench> {
    const [postgres, redis] = await Promise.all([
      startPostgres({ settings: { ...POSTGRES_SETTINGS, ...settings } }),
      startRedis({ appendonly: true, settings: REDIS_SETTINGS }),
    ]);
    const bench = new Bench(postgres, redis, options);
    await postgres.createDatabase(MIGRATED);
    const migrate = bench.platform('migrate');
    if ((await migrate.exited) !== 0) throw new Error(`migrate failed:\n${migrate.output()}`);
    return bench;
  }

  async close(): Promise<void> {
    await Promise.all([this.redis.stop(), this.postgres.stop()]);
  }

  get databaseUrl(): string {
    return this.urlOf(this.#database);
  }

  /**
   * An empty Redis, and a database with the platform's schema, or with what was kept by that name. Written pages are
   * flushed first, so that no contestant pays for the one before it.
   */
  async startOver(kept = MIGRATED): Promise<void> {
    await this.leaveDatabase();
    await this.redis.flushAll();
    this.#database = `round_${process.hrtime.bigint()}`;
    await this.administer(`CREATE DATABASE ${this.#database} TEMPLATE ${kept}`);
    await this.query('CHECKPOINT');
  }

  /** The same with an empty database, for contestants with a schema of their own. */
  async startEmpty(): Promise<void> {
    await this.startOver('template0');
  }

  /** Statistics for the planner, and everything on disk: after rows were seeded. */
  async settle(): Promise<void> {
    await this.query('VACUUM ANALYZE');
    await this.query('CHECKPOINT');
  }

  /** Keeps the current database as it is, for later rounds. Nobody may be connected to it. */
  async keepAs(name: string): Promise<void> {
    await this.administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await this.administer(`ALTER DATABASE ${this.#database} RENAME TO ${name}`);
    this.#database = MIGRATED;
  }

  async isKept(name: string): Promise<boolean> {
    return (await ask(this.postgres.url, 'SELECT FROM pg_database WHERE datname = $1', [name])).length > 0;
  }

  private async leaveDatabase(): Promise<void> {
    if (this.#database === MIGRATED) return;
    await this.administer(`DROP DATABASE ${this.#database} WITH (FORCE)`);
    this.#database = MIGRATED;
  }

  // ── processes ──

  /** Runs a file of `contestants/` or `harness/`. */
  script(file: string, args: string[] = [], env: Record<string, string> = {}): AppProcess {
    const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
    const child = launch(process.execPath, [path, ...args], { env: { ...this.environment(), ...env } });
    return new AppProcess(file, child);
  }

  /** Runs such a file to its end, and returns what it wrote. */
  async output(file: string, args: string[] = []): Promise<string> {
    const process = this.script(file, args);
    if ((await process.exited) !== 0) throw new Error(`${file} failed:\n${process.output()}`);
    return process.output();
  }

  /** Runs a contestant that serves HTTP, until it listens. */
  async serve(file: string, env: Record<string, string> = {}): Promise<Served> {
    const port = await freePort();
    const process = this.script(`contestants/${file}`, [], { ...env, PORT: String(port) });
    await process.ready(/^ready$/m);
    return { process, url: `http://127.0.0.1:${port}` };
  }

  platform(entry: 'main' | 'worker' | 'migrate', env: Record<string, string> = {}): AppProcess {
    const profiled = 'CPU_PROFILE' in env; // by its modules, which the profile names
    return startProcess({
      entry: profiled ? `entries/${entry}` : entry,
      env: { ...this.environment(), ...AS_SHIPPED, ...env },
    });
  }

  /** The platform's API alone, until it listens. */
  async servePlatform(env: Record<string, string> = {}): Promise<Served> {
    const port = await freePort();
    const process = this.platform('main', { ...env, PORT: String(port) });
    await process.ready(new RegExp(`(?:"listening"[^]*){${env['PROCESSES'] ?? 1}}`));
    return { process, url: `http://127.0.0.1:${port}` };
  }

  /** A worker of the platform, until it takes jobs. */
  async startWorker(env: Record<string, string> = {}): Promise<AppProcess> {
    const process = this.platform('worker', env);
    await process.ready(/"consuming"/);
    return process;
  }

  // ── questions ──

  async query<Row extends object>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return ask<Row>(this.databaseUrl, sql, parameters);
  }

  /** The one value of the one row. */
  async value<Value>(sql: string, parameters: unknown[] = []): Promise<Value> {
    const [row] = await this.query<Record<string, Value>>(sql, parameters);
    return Object.values(row ?? {})[0] as Value;
  }

  /** Memory that Redis has handed out, in bytes. */
  async redisMemory(): Promise<number> {
    return Number(await this.redisInfo('used_memory'));
  }

  redisVersion(): Promise<string> {
    return this.redisInfo('redis_version');
  }

  private async redisInfo(name: string): Promise<string> {
    const client = new Redis(this.redis.url);
    const info = await client.info();
    client.disconnect();
    return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  }

  private administer(sql: string): Promise<object[]> {
    return ask(this.postgres.url, sql);
  }

  private urlOf(database: string): string {
    const url = new URL(this.postgres.url);
    url.pathname = database;
    return url.href;
  }

  private environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      NODE_ENV: 'production',
      DATABASE_URL: this.databaseUrl,
      REDIS_URL: this.redis.url,
      RATE_LIMIT_PER_MINUTE: '0',
      SMTP_URL: 'smtp://127.0.0.1:9', // a worker must be told one; nobody listens there
      LOG_FORMAT: 'json',
    };
  }
}

async function ask<Row extends object>(url: string, sql: string, parameters?: unknown[]): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql, parameters)).rows;
  } finally {
    await client.end();
  }
}
