/** A durable PostgreSQL of the bench's own: a fresh cluster in a temporary folder, with the settings of a small server. */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

const BINARIES = process.env.PG_BINARIES ?? '/usr/lib/postgresql/15/bin';
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_preload_libraries: 'pg_stat_statements',
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  maintenance_work_mem: '256MB',
  max_connections: '100',
};

/**
 * @returns `urlOf(name)` makes a database and gives its URL; `stop` ends the server and deletes it
 * @throws Error where PostgreSQL with its contrib modules is not installed
 */
export async function startServer() {
  if (!existsSync(join(BINARIES, 'postgres')))
    throw new Error(`${BINARIES} has no PostgreSQL; name its folder in PG_BINARIES`);
  const user = process.getuid() === 0 ? accountOf('postgres') : {};
  const data = mkdtempSync(join(tmpdir(), 'jobs-growth-'));
  if (user.uid) chownSync(data, user.uid, user.gid);
  const run = { ...user, cwd: '/', stdio: 'ignore', env: { PATH: process.env.PATH, LC_ALL: 'C' } };
  execFileSync(
    join(BINARIES, 'initdb'),
    ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C'],
    run,
  );
  const port = await freePort();
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(
    join(BINARIES, 'postgres'),
    ['-D', data, '-p', String(port), '-k', '', ...settings],
    run,
  );
  const urlTo = (name) => `postgres://postgres@127.0.0.1:${port}/${name}`;
  const stop = async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    if (server.exitCode === null && server.kill('SIGINT')) await ended;
    rmSync(data, { recursive: true, force: true });
  };
  process.once('SIGINT', () => void stop().then(() => process.exit(130)));
  await answers(urlTo('postgres'), server);
  return {
    urlOf: async (name) => {
      await query(urlTo('postgres'), `CREATE DATABASE "${name}"`);
      await query(urlTo(name), 'CREATE EXTENSION pg_stat_statements');
      return urlTo(name);
    },
    stop,
  };
}

async function query(connectionString, sql) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

async function answers(url, server) {
  for (let tries = 0; ; tries++) {
    try {
      return await query(url, 'SELECT 1');
    } catch (error) {
      if (server.exitCode !== null || tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function accountOf(name) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (!uid) throw new Error('PostgreSQL does not run as root, and there is no account named postgres');
  return { uid: Number(uid), gid: Number(gid) };
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
