import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { errorCode, reasonOf } from './error-code.js';
import { pgCtlStop } from './pg-ctl-stop.js';
import type { PostgresCluster } from './postgres-cluster.js';
import { StandaloneError } from './standalone-error.js';
import { tellingLine } from './telling-line.js';

const READY_WITHIN_MS = 300_000;
const NOT_YET = ['ECONNREFUSED', 'ECONNRESET', '57P03'];

/** The server ended before it was ready; `fatal` is its own last word. */
export class ServerEnded extends Error {
  constructor(readonly fatal: string) {
    super(fatal);
  }
}

/** One running postmaster on a cluster, in a process group of its own: Ctrl-C in the terminal does not reach it. */
export class PostgresServer {
  private running = true;
  private stopping = false;
  private readonly ended: Promise<void>;

  private constructor(
    private readonly cluster: PostgresCluster,
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly logStart: number,
  ) {
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.running = false;
        resolve();
      };
      child.once('exit', end);
      child.once('error', end);
    });
    child.unref();
  }

  static launch(cluster: PostgresCluster, port: number): PostgresServer {
    const logFd = openSync(cluster.logFile, 'a', 0o600);
    try {
      cluster.account.own(cluster.logFile);
      const logStart = fstatSync(logFd).size;
      const child = cluster.account.spawn(cluster.binaries.postgres, serverArgs(cluster.folder, port), {
        stdio: ['ignore', logFd, logFd],
      });
      return new PostgresServer(cluster, port, child, logStart);
    } finally {
      closeSync(logFd);
    }
  }

  /** Gives the first connection that is let in. Errors: ServerEnded, or StandaloneError when it never gets ready. */
  async ready(): Promise<Client> {
    const deadline = Date.now() + READY_WITHIN_MS;
    let pauseMs = 20;
    while (this.running && Date.now() < deadline) {
      const client = await this.tryConnect();
      if (client) return client;
      await sleep(pauseMs);
      // Recovery may take minutes, and each attempt leaves a line in the log.
      pauseMs = Math.min(pauseMs * 1.1, 500);
    }
    if (!this.running) throw new ServerEnded(this.lastFatal());
    throw new StandaloneError(
      `PostgreSQL is not ready after ${READY_WITHIN_MS / 1000} s (see ${this.cluster.logFile})`,
    );
  }

  /**
   * Reports a crash or a kill, with the exit code or signal. An ordinary shutdown is none, also where others asked for it:
   * what restarts this process may signal every process below it.
   */
  onUnexpectedEnd(report: (how: string) => void): void {
    void this.ended.then(() => {
      const { signalCode, exitCode } = this.child;
      if (!this.stopping && exitCode !== 0) report(signalCode ?? `exit code ${exitCode}`);
    });
  }

  /** Fast first, which rolls open transactions back; then immediate, which leaves recovery to the next start. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.child.ref();
    if (this.running) await pgCtlStop(this.cluster, 'fast', 10);
    if (this.running && !(await this.endsWithin(1000))) await pgCtlStop(this.cluster, 'immediate', 5);
    if (this.running && !(await this.endsWithin(1000))) this.child.kill('SIGKILL');
    await this.ended;
  }

  private async tryConnect(): Promise<Client | undefined> {
    const { password } = this.cluster;
    const address = {
      host: '127.0.0.1',
      port: this.port,
      user: 'jobs',
      password,
      database: 'postgres',
      ssl: false,
    };
    const client = new Client({ ...address, connectionTimeoutMillis: 5000 });
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (NOT_YET.includes(errorCode(error) ?? '')) return undefined;
      // Whoever took the port first may have answered; then our server is about to end.
      if (await this.endsWithin(1000)) return undefined;
      throw new StandaloneError(`the embedded PostgreSQL refuses its own user: ${reasonOf(error)}`);
    }
  }

  private async endsWithin(ms: number): Promise<boolean> {
    await Promise.race([this.ended, sleep(ms)]);
    return !this.running;
  }

  private lastFatal(): string {
    return tellingLine(readFileSync(this.cluster.logFile).subarray(this.logStart).toString());
  }
}

function serverArgs(folder: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: '128MB',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    log_checkpoints: 'off',
    timezone: 'UTC',
  };
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', folder, '-p', String(port), ...given];
}
