import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, reasonOf } from './error-code.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { ServerAccount } from './server-account.js';
import { StandaloneError } from './standalone-error.js';
import { tellingLine } from './telling-line.js';

/** A folder that `initdb` made whole, with the password of its user `jobs` beside the data. */
export interface PostgresCluster {
  readonly folder: string;
  readonly password: string;
  readonly logFile: string;
  readonly account: ServerAccount;
  readonly binaries: PostgresBinaries;
}

const PASSWORD_FILE = 'jobs.password';
const STAGING = 'postgres.new-';

/**
 * Opens `${dataDir}/postgres`, making it on the first start.
 * Errors: StandaloneError when it belongs to another user or another PostgreSQL version, or cannot be made.
 */
export async function openCluster(
  dataDir: string,
  binaries: PostgresBinaries,
  log: (line: string) => void,
): Promise<PostgresCluster> {
  const folder = join(dataDir, 'postgres');
  const account = ServerAccount.choose(folder, binaries.postgres);
  const major = await majorVersion(account, binaries);

  await removeLeftovers(dataDir);
  if (!(await isMade(folder))) await make(folder, dataDir, binaries, account, log);
  await assertOwned(folder, account);
  await assertVersion(folder, major);

  const password = await readPassword(join(folder, PASSWORD_FILE));
  return { folder, password, logFile: join(dataDir, 'postgres.log'), account, binaries };
}

/** Asking for the version also proves that the programs run on this machine at all. */
async function majorVersion(account: ServerAccount, { postgres }: PostgresBinaries): Promise<string> {
  const { code, output } = await account
    .run(postgres, ['--version'])
    .catch((error: unknown) => ({ code: null, output: reasonOf(error) }));
  const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
  if (code === 0 && major) return major;
  throw new StandaloneError(
    `the embedded PostgreSQL does not run here (${tellingLine(output)}): try npm rebuild or another user, or set DATABASE_URL`,
  );
}

/** What an interrupted initdb left. An initdb that outlived its parent may still write there: next start, then. */
async function removeLeftovers(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(STAGING))
      await rm(join(dataDir, name), { recursive: true, force: true }).catch(() => {});
  }
}

async function isMade(folder: string): Promise<boolean> {
  try {
    if ((await readdir(folder)).length > 0) return true;
    await rmdir(folder);
    return false;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw new StandaloneError(`${folder} cannot be used: ${reasonOf(error)}`);
  }
}

/** Made in a folder beside and moved whole, so that an interruption leaves nothing that looks like a cluster. */
async function make(
  folder: string,
  dataDir: string,
  { initdb }: PostgresBinaries,
  account: ServerAccount,
  log: (line: string) => void,
): Promise<void> {
  const began = performance.now();
  const staging = await mkdtemp(join(dataDir, STAGING));
  const data = join(staging, 'data');
  const passwordFile = join(staging, PASSWORD_FILE);
  await writeFile(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 });
  account.own(staging);

  const { code, output } = await account.run(initdb, [
    ...['--pgdata', data, '--username', 'jobs', '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-instructions'],
  ]);
  if (code !== 0) throw new StandaloneError(`PostgreSQL could not be set up: ${tellingLine(output)}`);

  await rename(passwordFile, join(data, PASSWORD_FILE));
  await rename(data, folder);
  await rmdir(staging);
  log(`PostgreSQL set up in ${folder} (${Math.round(performance.now() - began)} ms)`);
}

async function assertOwned(folder: string, account: ServerAccount): Promise<void> {
  const { uid } = await stat(folder);
  // As root, only a folder that root itself copied here is not yet the account's.
  if (uid === 0) return account.own(folder);
  if (process.geteuid && ![0, uid].includes(process.geteuid())) {
    throw new StandaloneError(
      `${folder} belongs to user ${uid}: start as that user, or set another DATA_DIR`,
    );
  }
}

async function assertVersion(folder: string, major: string): Promise<void> {
  const versionFile = join(folder, 'PG_VERSION');
  if (!existsSync(versionFile)) {
    throw new StandaloneError(`${folder} holds no PostgreSQL data: move it away, or set another DATA_DIR`);
  }
  const found = (await readFile(versionFile, 'utf8')).trim();
  if (found !== major) {
    throw new StandaloneError(
      `${folder} was made by PostgreSQL ${found}, this is ${major}: dump and load it, or set another DATA_DIR`,
    );
  }
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new StandaloneError(`the password of the embedded PostgreSQL cannot be read: ${reasonOf(error)}`);
  }
}
