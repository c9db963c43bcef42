import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, type LaunchOptions } from './child.js';
import type { TestPlatform } from './platform.js';
import { AppProcess } from './processes.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface EntryOptions {
  /** The folder that holds `dist`; this repository by default. */
  app?: string;
  user?: LaunchOptions['user'];
}

/** Runs any entry point of an installed platform. @param env all that it sees, besides PATH */
export function startEntry(
  entry: string,
  env: Record<string, string>,
  { app = repository, user }: EntryOptions = {},
): AppProcess {
  const child = launch(process.execPath, [join(app, 'dist', `${entry}.js`)], {
    env: { PATH: process.env.PATH, ...env },
    cwd: app,
    user,
  });
  return new AppProcess(entry, child);
}

/** What a further process needs to join a platform. */
export async function storesOf(platform: TestPlatform): Promise<Record<string, string>> {
  const database = new URL(platform.postgres.url);
  database.pathname = await platform.value<string>('SELECT current_database()');
  return { DATABASE_URL: database.href, REDIS_URL: platform.env['REDIS_URL'] ?? '', LOG_FORMAT: 'json' };
}

/** Where the tests run as root, a user without rights who can run Node in the folder; else whoever runs them. */
export function ordinaryUser(folder: string): LaunchOptions['user'] {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8').match(/^nobody:.*$/m)?.[0];
  const [, , uid, gid] = line?.split(':') ?? [];
  const user = { uid: Number(uid), gid: Number(gid) };
  return spawnSync(process.execPath, ['--version'], { ...user, cwd: folder }).status === 0 ? user : undefined;
}
