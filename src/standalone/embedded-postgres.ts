import { realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataFolderLock } from './data-folder-lock.js';
import { freePort } from './free-port.js';
import { stopOrphan } from './orphan-postmaster.js';
import { findPostgresBinaries } from './postgres-binaries.js';
import { openCluster, type PostgresCluster } from './postgres-cluster.js';
import { PostgresServer, ServerEnded } from './postgres-server.js';
import { StandaloneError } from './standalone-error.js';

export { StandaloneError } from './standalone-error.js';

type Log = (line: string) => void;

const LAUNCHES = 20;

/** What ends a launch and is gone a moment later: another program was faster, or a killed server's last backends. */
const PASSING = /could not create any TCP\/IP sockets|pre-existing shared memory block/;

/** A real PostgreSQL kept under the data folder, for a machine that has none. */
export class EmbeddedPostgres {
  /** `postgres://jobs:<password>@127.0.0.1:<port>/jobs`; the port is another one after every start. */
  readonly url: string;

  private stopped?: Promise<void>;

  private constructor(
    cluster: PostgresCluster,
    private readonly server: PostgresServer,
    private readonly lock: DataFolderLock,
  ) {
    this.url = `postgres://jobs:${cluster.password}@127.0.0.1:${server.port}/jobs`;
  }

  /**
   * Starts the server of `${dataDir}/postgres`, setting it up on the first start (about 1.5 s, later 0.3 s).
   * A server that a killed process left there is stopped first. Its output goes to `${dataDir}/postgres.log`.
   * Errors: StandaloneError with one clear line.
   */
  static async start(dataDir: string, log: Log = () => {}): Promise<EmbeddedPostgres> {
    const binaries = findPostgresBinaries();
    const lock = DataFolderLock.take(dataDir);
    try {
      const cluster = await openCluster(realpathSync(dataDir), binaries, log);
      await stopOrphan(cluster, log);
      const server = await launch(cluster);
      server.onUnexpectedEnd((how) => log(`PostgreSQL ended by itself: ${how} (see ${cluster.logFile})`));
      log(`PostgreSQL ready on 127.0.0.1:${server.port}`);
      return new EmbeddedPostgres(cluster, server, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Ends open transactions and waits until the server is gone: about 10 s at the worst, then recovery at the next start. */
  stop(): Promise<void> {
    this.stopped ??= this.server.stop().finally(() => this.lock.release());
    return this.stopped;
  }
}

async function launch(cluster: PostgresCluster): Promise<PostgresServer> {
  let fatal = '';
  for (let launches = 0; launches < LAUNCHES; launches++) {
    const server = PostgresServer.launch(cluster, await freePort('127.0.0.1'));
    try {
      await createDatabase(server);
      return server;
    } catch (error) {
      await server.stop();
      if (!(error instanceof ServerEnded)) throw error;
      fatal = error.fatal;
      if (!PASSING.test(fatal)) break;
      await sleep(250);
    }
  }
  if (fatal.startsWith('pre-existing')) fatal = 'processes of a killed server still work on its data';
  throw new StandaloneError(`PostgreSQL did not start: ${fatal} (see ${cluster.logFile})`);
}

/** Asked at every start: the first one may have ended between setting up the server and this. */
async function createDatabase(server: PostgresServer): Promise<void> {
  const client = await server.ready();
  try {
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = 'jobs'");
    if (rowCount === 0) await client.query('CREATE DATABASE jobs');
  } finally {
    await client.end();
  }
}
