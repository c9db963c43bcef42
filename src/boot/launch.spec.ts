import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fileOf } from './launch.js';

describe('An entry point', () => {
  const folder = mkdtempSync(join(tmpdir(), 'launch-'));
  const build = pathToFileURL(`${folder}/`);
  const file = (isExtended = false) => fileOf('worker', build, isExtended).href.slice(build.href.length);

  beforeAll(() => mkdirSync(join(folder, 'bundle')));
  beforeEach(() => {
    write('bundle/worker.js', 2_000);
    write('.tsbuildinfo', 1_000);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([2_000, 3_000])('is run from its bundle, made at %d', (at) => {
    write('.tsbuildinfo', 2_000);
    write('bundle/worker.js', at);
    expect(file()).toBe('bundle/worker.js');
  });

  it('is run from its modules beside those of others', () => {
    expect(file(true)).toBe('entries/worker.js');
  });

  it('is run from its modules where they are newer than the bundle', () => {
    write('.tsbuildinfo', 3_000);
    expect(file()).toBe('entries/worker.js');
  });

  it('is run from its modules where it was not bundled', () => {
    rmSync(join(folder, 'bundle/worker.js'));
    expect(file()).toBe('entries/worker.js');
  });

  function write(file: string, changedAt: number): void {
    writeFileSync(join(folder, file), '');
    utimesSync(join(folder, file), changedAt, changedAt);
  }
});
