import { execFile, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { userInfo, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const nodeModules = fileURLToPath(new URL('../../node_modules', import.meta.url));

export interface RedisBinary {
  path: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Finds `redis-server`: TEST_REDIS_SERVER, else the one on PATH, else the packages of Debian or Ubuntu, which are
 * fetched once and unpacked beside the other packages. Nothing is installed, and root is not needed.
 */
export async function redisBinary(): Promise<RedisBinary> {
  const chosen = process.env.TEST_REDIS_SERVER;
  if (chosen) return { path: chosen, env: process.env };
  if (runs({ path: 'redis-server', env: process.env })) return { path: 'redis-server', env: process.env };

  for (const folder of cacheFolders()) {
    const cached = unpacked(join(folder, 'current'));
    if (runs(cached)) return cached;
  }
  return fetchOnce();
}

/**
 * Jest's global set-up: fetches redis-server before the first test needs it, so that no test's time runs out meanwhile.
 * It stands here because Jest loads this file without the mapping of `.js` imports to `.ts` files.
 */
export default async function fetchAhead(): Promise<void> {
  try {
    await redisBinary();
  } catch (error) {
    // Not the end: the tests without Redis can still run, and `startRedis` fails with the same message.
    console.warn(String(error));
  }
}

/** Where it may be kept: `npm ci` empties the first, and the second serves where that is read-only. */
function cacheFolders(): string[] {
  return [
    join(nodeModules, '.cache', 'redis-server'),
    join(tmpdir(), `jobs-redis-server-${userInfo().uid}`), //
  ];
}

let fetching: Promise<RedisBinary> | undefined;

function fetchOnce(): Promise<RedisBinary> {
  return (fetching ??= fetchPackages());
}

/** Several test processes may do this at once: each unpacks into a folder of its own, and the first rename wins. */
async function fetchPackages(): Promise<RedisBinary> {
  if (spawnSync('apt-get', ['--version']).status !== 0) {
    throw new Error(
      'no redis-server: install Redis 6.2 or newer (macOS: `brew install redis`), or set TEST_REDIS_SERVER to one',
    );
  }
  process.stderr.write('fetching redis-server from the distribution’s packages …\n');

  const folder = writableFolder();
  const work = mkdtempSync(join(folder, 'work-'));
  try {
    await unpackRedis(work);
    publish(join(work, 'root'), join(folder, 'current'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return unpacked(join(folder, 'current'));
}

function writableFolder(): string {
  for (const folder of cacheFolders()) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o755 });
      rmSync(mkdtempSync(join(folder, 'probe-')), { recursive: true });
      return folder;
    } catch {
      // not ours to write; the next one
    }
  }
  throw new Error(`none of these folders can be written: ${cacheFolders().join(', ')}`);
}

/** `redis-tools` holds the server under the name of a checker; its libraries are added until none is missing. */
async function unpackRedis(work: string): Promise<void> {
  const apt = await privateApt(work);
  const root = join(work, 'root');

  let packages = await downloadAndUnpack(apt, ['redis-tools'], work);
  symlinkSync('redis-check-rdb', join(root, 'usr', 'bin', 'redis-server'));

  for (let depth = 0; depth < 4 && !runs(unpacked(root)); depth++) {
    packages = await downloadAndUnpack(apt, await dependencies(packages), work);
  }
  if (runs(unpacked(root))) return;

  const { stdout } = spawnSync('ldd', [unpacked(root).path], { env: unpacked(root).env, encoding: 'utf8' });
  throw new Error(`the fetched redis-server does not run; set TEST_REDIS_SERVER to one that does\n${stdout}`);
}

/** Package lists, downloads and status of our own: the system's belong to root. */
async function privateApt(work: string): Promise<string[]> {
  const folder = (name: string) => mkdirSync(join(work, 'apt', name, 'partial'), { recursive: true });
  folder('lists');
  folder('cache/archives');
  writeFileSync(join(work, 'apt', 'status'), '');

  const options = {
    'Dir::State': join(work, 'apt'),
    'Dir::State::lists': join(work, 'apt', 'lists'),
    'Dir::State::status': join(work, 'apt', 'status'),
    'Dir::Cache': join(work, 'apt', 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '3',
    'Acquire::Languages': 'none',
  };
  const apt = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', [...apt, '-q', 'update'], { timeout: 180_000 });
  return apt;
}

/** Returns the files of the packages that could be had. */
async function downloadAndUnpack(apt: string[], names: string[], work: string): Promise<string[]> {
  const target = mkdtempSync(join(work, 'packages-'));
  for (const name of names) {
    const download = run('apt-get', [...apt, '-q', 'download', name], { cwd: target, timeout: 180_000 });
    // A library may be a virtual package, and is then found on the system; what is missing shows in the end.
    await (name === 'redis-tools' ? download : download.catch(() => undefined));
  }

  const packages = readdirSync(target).map((file) => join(target, file));
  for (const file of packages) await run('dpkg-deb', ['-x', file, join(work, 'root')]);
  return packages;
}

/** The first alternative of each package in their Depends fields; never the C library, which must be the system's. */
async function dependencies(packages: string[]): Promise<string[]> {
  const names = new Set<string>();
  for (const file of packages) {
    const { stdout } = await run('dpkg-deb', ['-f', file, 'Depends']);
    for (const entry of stdout.trim().split(',')) {
      const name = entry.trim().split(/[\s:(|]/)[0];
      if (name && !['libc6', 'libgcc-s1', 'adduser'].includes(name)) names.add(name);
    }
  }
  return [...names];
}

function publish(root: string, current: string): void {
  if (existsSync(current) && !runs(unpacked(current))) rmSync(current, { recursive: true, force: true });
  try {
    renameSync(root, current);
  } catch (error) {
    if (!runs(unpacked(current))) throw error;
  }
}

function unpacked(root: string): RedisBinary {
  const libraries = ['usr/lib', 'lib'].flatMap((folder) => [
    join(root, folder),
    ...subfolders(join(root, folder)), // usr/lib/x86_64-linux-gnu
  ]);
  return {
    path: join(root, 'usr', 'bin', 'redis-server'),
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
  };
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [join(folder, entry.name)] : [],
  );
}

function runs({ path, env }: RedisBinary): boolean {
  return spawnSync(path, ['--version'], { env }).status === 0;
}
