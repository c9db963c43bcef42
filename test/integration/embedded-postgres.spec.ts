import { transformFileSync } from '@swc/core';
import { appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { EmbeddedPostgres, StandaloneError } from '../../src/standalone/embedded-postgres.js';
import { freePort } from '../../src/standalone/free-port.js';
import { findPostgresBinaries } from '../../src/standalone/postgres-binaries.js';
import { openCluster } from '../../src/standalone/postgres-cluster.js';
import { PostgresServer } from '../../src/standalone/postgres-server.js';
import { allEnded, type Child, killIfThere, launch } from '../support/child.js';

jest.setTimeout(60_000);

const folders: string[] = [];
const servers: EmbeddedPostgres[] = [];

const newFolder = (mode = 0o755): string => {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-standalone-'));
  chmodSync(folder, mode);
  folders.push(folder);
  return folder;
};

const start = async (dataDir: string, log?: (line: string) => void): Promise<EmbeddedPostgres> => {
  const server = await EmbeddedPostgres.start(dataDir, log);
  servers.push(server);
  return server;
};

/** A data folder that was used and left in order. Setting one up takes a second. */
const usedFolder = async (): Promise<string> => {
  const dataDir = newFolder();
  await (await start(dataDir)).stop();
  return dataDir;
};

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<{ value: unknown }>(sql)).rows.map(({ value }) => value);
  } finally {
    await client.end();
  }
};

const postmasterOf = (dataDir: string): number =>
  Number.parseInt(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);

/** A process of its own that starts the server and then waits to be killed. */
const startElsewhere = async (dataDir: string): Promise<Child> => {
  const child = launch(process.execPath, [join(compiled(), 'hold.js'), dataDir]);
  for (const deadline = Date.now() + 20_000; !child.output().includes('holding');) {
    if (!child.running || Date.now() > deadline) throw new Error(child.output());
    await sleep(20);
  }
  return child;
};

const compiled = (): string => {
  const [source, target] = [resolve('src/standalone'), newFolder()];
  const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } } as const;
  for (const file of readdirSync(source).filter((name) => !name.endsWith('.spec.ts'))) {
    writeFileSync(
      join(target, file.replace(/ts$/, 'js')),
      transformFileSync(join(source, file), options).code,
    );
  }
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
  symlinkSync(resolve('node_modules'), join(target, 'node_modules'));
  const hold = `import { EmbeddedPostgres } from './embedded-postgres.js';
    await EmbeddedPostgres.start(process.argv[2]);
    console.log('holding');
    process.on('SIGINT', () => {});
    setInterval(() => {}, 1000);`;
  writeFileSync(join(target, 'hold.js'), hold);
  return target;
};

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const folder of folders.splice(0)) {
    if (existsSync(join(folder, 'postgres', 'postmaster.pid'))) killIfThere(postmasterOf(folder));
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('an embedded PostgreSQL', () => {
  it('is set up on the first start, and keeps its data over stop and start', async () => {
    const dataDir = join(newFolder(), 'data');
    const first = await start(dataDir);

    expect(first.url).toMatch(/^postgres:\/\/jobs:\w{48}@127\.0\.0\.1:\d+\/jobs$/);
    expect(await query(first.url, "SELECT current_setting('server_encoding') AS value")).toEqual(['UTF8']);
    await expect(query(first.url.replace(/:\w{48}@/, ':wrong@'), 'SELECT 1')).rejects.toThrow('password');
    await query(first.url, 'CREATE TABLE kept AS SELECT 7 AS value');
    await Promise.all([first.stop(), first.stop()]);
    await expect(query(first.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.log']);

    const second = await start(dataDir);
    expect(await query(second.url, 'SELECT value FROM kept')).toEqual([7]);
  });

  it('stops while a client is connected', async () => {
    const server = await start(newFolder());
    const client = new Client(server.url);
    const cut = new Promise((resolved) => client.on('error', resolved));
    await client.connect();

    await server.stop();
    await cut;
  });

  it('replaces the server that a killed process left, with all that was committed', async () => {
    const dataDir = newFolder();
    const child = await startElsewhere(dataDir);
    const orphan = postmasterOf(dataDir);
    await child.end();
    process.kill(orphan, 0);

    const server = await start(dataDir);
    await allEnded([orphan]);
    expect(postmasterOf(dataDir)).not.toBe(orphan);
    expect(await query(server.url, 'SELECT 1 AS value')).toEqual([1]);
  });

  it('recovers when the server was killed too', async () => {
    const dataDir = newFolder();
    const lines: string[] = [];
    const killed = await start(dataDir, (line) => lines.push(line));
    await query(killed.url, 'CREATE TABLE kept AS SELECT 7 AS value');
    process.kill(postmasterOf(dataDir), 'SIGKILL');
    await expect(query(killed.url, 'SELECT pg_sleep(5)')).rejects.toThrow();
    while (!lines.at(-1)?.startsWith('PostgreSQL ended by itself: SIGKILL')) await sleep(10);
    await killed.stop();

    const server = await start(dataDir);
    expect(await query(server.url, 'SELECT value FROM kept')).toEqual([7]);
  });

  it('says nothing of a shutdown in good order that others asked for', async () => {
    const dataDir = newFolder();
    const lines: string[] = [];
    const server = await start(dataDir, (line) => lines.push(line));
    const postmaster = postmasterOf(dataDir);

    process.kill(postmaster, 'SIGTERM');
    await allEnded([postmaster]);
    await server.stop();
    expect(lines.filter((line) => !/^PostgreSQL (?:set up|ready)/.test(line))).toEqual([]);
  });

  it('refuses a second process on the same folder', async () => {
    const dataDir = newFolder();
    const child = await startElsewhere(dataDir);

    const second = start(dataDir);
    await expect(second).rejects.toThrow(StandaloneError);
    await expect(second).rejects.toThrow(`Already running in ${dataDir} (pid ${child.pid})`);

    const orphan = postmasterOf(dataDir);
    await child.end();
    process.kill(orphan, 'SIGINT');
    await allEnded([orphan]);
  });

  it('removes a postmaster.pid that points to another program, and leaves that program alone', async () => {
    const dataDir = await usedFolder();
    const bystander = launch(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', '-D', dataDir]);
    writeFileSync(join(dataDir, 'postgres', 'postmaster.pid'), `${bystander.pid}\n${dataDir}/postgres\n`);

    await start(dataDir);
    expect(bystander.running).toBe(true);
    await bystander.end();
  });

  it('is not misled by what an interrupted set-up left', async () => {
    const dataDir = newFolder();
    mkdirSync(join(dataDir, 'postgres.new-abcdef', 'data'), { recursive: true });
    writeFileSync(join(dataDir, 'postgres.new-abcdef', 'data', 'PG_VERSION'), '18\n');
    mkdirSync(join(dataDir, 'postgres'));

    await start(dataDir);
    expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.log', 'standalone.pid']);
  });

  it('makes its database when the first start ended before it did', async () => {
    const dataDir = newFolder();
    const first = await start(dataDir);
    await query(first.url.replace(/jobs$/, 'postgres'), 'DROP DATABASE jobs');
    await first.stop();

    expect(await query((await start(dataDir)).url, 'SELECT 1 AS value')).toEqual([1]);
  });

  it('says why it does not start, and leaves the folder free', async () => {
    const dataDir = await usedFolder();
    appendFileSync(join(dataDir, 'postgres', 'pg_hba.conf'), 'nonsense\n');
    await expect(start(dataDir)).rejects.toThrow(/^PostgreSQL did not start: could not load .*pg_hba\.conf/);

    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '17\n');
    await expect(start(dataDir)).rejects.toThrow('was made by PostgreSQL 17, this is 18');

    rmSync(join(dataDir, 'postgres', 'PG_VERSION'));
    await expect(start(dataDir)).rejects.toThrow('holds no PostgreSQL data');
    expect(existsSync(join(dataDir, 'standalone.pid'))).toBe(false);
  });

  it('names a data folder that is a file', async () => {
    const file = join(newFolder(), 'data');
    writeFileSync(file, '');
    await expect(start(file)).rejects.toThrow(/^DATA_DIR .* is not writable: EEXIST/);
  });
});

// Only root can put on such rights, and anybody else's start is what the tests above are about.
if (process.getuid?.() === 0) {
  describe('an embedded PostgreSQL, started by root', () => {
    it('works in a folder that only root may enter', async () => {
      const server = await start(join(newFolder(0o700), 'data'));
      expect(await query(server.url, 'SELECT 1 AS value')).toEqual([1]);
    });

    it('works with programs that only root may reach', async () => {
      const [dataDir, closed] = [newFolder(), newFolder(0o700)];
      const native = resolve(findPostgresBinaries().postgres, '../..');
      cpSync(native, closed, { recursive: true, verbatimSymlinks: true });
      chmodSync(closed, 0o700);
      const program = (name: string) => join(closed, 'bin', name);
      const binaries = { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres: program('postgres') };

      const cluster = await openCluster(dataDir, binaries, () => {});
      const server = PostgresServer.launch(cluster, await freePort('127.0.0.1'));
      await (await server.ready()).end();
      await server.stop();
    });
  });
}
