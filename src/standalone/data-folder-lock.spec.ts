import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataFolderLock } from './data-folder-lock.js';
import { birthMark } from './process-identity.js';

let folder: string;
const lockFile = () => join(folder, 'standalone.pid');

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'jobs-lock-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('DataFolderLock', () => {
  it('makes the folder, and leaves nothing in it after release', () => {
    const dataDir = join(folder, 'a', 'data');

    const lock = DataFolderLock.take(dataDir);
    expect(readdirSync(dataDir)).toEqual(['standalone.pid']);
    lock.release();
    lock.release();
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('is refused while its owner lives, and names the owner', () => {
    writeFileSync(lockFile(), `${process.ppid}\n${birthMark(process.ppid)}\n`);

    expect(() => DataFolderLock.take(folder)).toThrow(`Already running in ${folder} (pid ${process.ppid})`);
    expect(readdirSync(folder)).toEqual(['standalone.pid']);
  });

  it('is refused to the process that holds it already', () => {
    DataFolderLock.take(folder);

    expect(() => DataFolderLock.take(folder)).toThrow(`Already running in ${folder} (pid ${process.pid})`);
  });

  it('can be looked at without being taken', () => {
    const dataDir = join(folder, 'data');

    DataFolderLock.assertFree(dataDir);
    expect(readdirSync(folder)).toEqual([]);

    const lock = DataFolderLock.take(dataDir);
    expect(() => DataFolderLock.assertFree(dataDir)).toThrow(`Already running in ${dataDir}`);
    lock.release();
    DataFolderLock.assertFree(dataDir);
  });

  it.each([
    ['of a process that is gone', `999999999\n1@boot\n`],
    ['whose pid another process has by now', `${process.ppid}\n1@boot\n`],
    ['that is empty', ''],
    ['that makes no sense', 'what?'],
  ])('takes over a lock %s', (_, content) => {
    writeFileSync(lockFile(), content);

    DataFolderLock.take(folder);
    expect(readFileSync(lockFile(), 'utf8')).toMatch(new RegExp(`^${process.pid}\n`));
    expect(readdirSync(folder)).toEqual(['standalone.pid']);
  });

  it('leaves a lock alone that somebody else took over', () => {
    const lock = DataFolderLock.take(folder);
    writeFileSync(lockFile(), '1\nelse\n');

    lock.release();
    expect(readFileSync(lockFile(), 'utf8')).toBe('1\nelse\n');
  });

  it('says so when the folder may not be written to', () => {
    chmodSync(folder, 0o555);

    expect(() => asOrdinaryUser(() => DataFolderLock.take(folder))).toThrow(
      `DATA_DIR ${folder} is not writable: EACCES`,
    );
  });

  it('says so when the folder cannot be made', () => {
    const file = join(folder, 'data');
    writeFileSync(file, '');

    expect(() => DataFolderLock.take(file)).toThrow(`DATA_DIR ${file} is not writable: EEXIST`);
  });
});

/** Root may write anywhere: it looks through the eyes of another user. */
function asOrdinaryUser<T>(action: () => T): T {
  if (process.geteuid?.() !== 0) return action();

  process.seteuid?.(65_534);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}
