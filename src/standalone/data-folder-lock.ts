import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { errorCode, reasonOf } from './error-code.js';
import { birthMark, isAlive } from './process-identity.js';
import { StandaloneError } from './standalone-error.js';

/**
 * One platform process a data folder: `standalone.pid` holds the pid and birth mark of its owner.
 * The lock of a process that is gone is taken over. It holds within one machine or container, not between two.
 */
export class DataFolderLock {
  private constructor(
    private readonly file: string,
    private readonly content: string,
  ) {}

  /** Makes the folder where it is missing. Errors: StandaloneError when it is in use or not writable. */
  static take(dataDir: string): DataFolderLock {
    return using(dataDir, () => {
      mkdirSync(dataDir, { recursive: true });
      return DataFolderLock.claim(fileIn(dataDir));
    });
  }

  /** Looks without taking, and leaves the folder as it is. Errors: StandaloneError when it is in use or cannot be read. */
  static assertFree(dataDir: string): void {
    using(dataDir, () => assertOwnerGone(fileIn(dataDir), contentOf(fileIn(dataDir)) ?? ''));
  }

  release(): void {
    if (contentOf(this.file) === this.content) rmSync(this.file, { force: true });
  }

  private static claim(file: string): DataFolderLock {
    const content = `${process.pid}\n${birthMark(process.pid) ?? ''}\n`;
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, content, { mode: 0o644 });
    try {
      while (!placeOnce(draft, file)) makeWay(file);
      return new DataFolderLock(file, content);
    } finally {
      rmSync(draft, { force: true });
    }
  }
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'standalone.pid');
}

function using<T>(dataDir: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof StandaloneError) throw error;
    throw new StandaloneError(`DATA_DIR ${dataDir} is not writable: ${reasonOf(error)}`);
  }
}

/** A link is made whole or not at all: nobody ever reads a lock that is half written. */
function placeOnce(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function makeWay(file: string): void {
  const found = contentOf(file);
  if (found === undefined) return;

  assertOwnerGone(file, found);
  discard(file, found);
}

function assertOwnerGone(file: string, content: string): void {
  const [pidLine = '', mark = ''] = content.split('\n');
  const pid = Number(pidLine);
  if (pid > 0 && isAlive(pid) && mark === (birthMark(pid) ?? '')) {
    throw new StandaloneError(
      `Already running in ${resolve(dirname(file))} (pid ${pid}): stop it first, or set another DATA_DIR and PORT`,
    );
  }
}

/** Two starters may find the same stale lock: the slower must not throw away the fresh lock of the faster. */
function discard(file: string, stale: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  if (contentOf(aside) !== stale) placeOnce(aside, file);
  rmSync(aside, { force: true });
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
