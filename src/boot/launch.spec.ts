import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fileOf } from './launch.js';

describe('An entry point', () => {
  const folder = mkdtempSync(join(tmpdir(), 'launch-'));
  const build = pathToFileURL(`${folder}/`);
  const fileIn = (env: NodeJS.ProcessEnv) => fileOf('worker', build, env).href.slice(build.href.length);

  beforeAll(() => mkdirSync(join(folder, 'bundle')));
  beforeEach(() => {
    write('bundle/worker.js', 2_000);
    write('.tsbuildinfo', 1_000);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([{}, { EXTENSIONS: '' }, { EXTENSIONS: ' ' }])('is run from its bundle, told %j', (env) => {
    expect(fileIn(env)).toBe('bundle/worker.js');
  });

  it('is run from its modules beside those of others', () => {
    expect(fileIn({ EXTENSIONS: './ours.js' })).toBe('entries/worker.js');
  });

  it('is run from its modules where they are newer than the bundle', () => {
    write('.tsbuildinfo', 3_000);
    expect(fileIn({})).toBe('entries/worker.js');
  });

  it('is run from its modules where it was not bundled', () => {
    rmSync(join(folder, 'bundle/worker.js'));
    expect(fileIn({})).toBe('entries/worker.js');
  });

  function write(file: string, changedAt: number): void {
    writeFileSync(join(folder, file), '');
    utimesSync(join(folder, file), changedAt, changedAt);
  }
});
