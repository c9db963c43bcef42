import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processEnvironment } from './process-environment.js';

const home = process.cwd();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'environment-'));
  process.chdir(folder);
  process.env['SPEC_REAL'] = 'environment';
});

afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
  delete process.env['SPEC_REAL'];
  delete process.env['SPEC_FILE'];
});

it('is the environment alone where there is no file', () => {
  expect(processEnvironment()).toMatchObject({ SPEC_REAL: 'environment' });
});

it('adds what a .env file says, and prefers the environment', () => {
  writeFileSync('.env', '# a comment\nSPEC_REAL=file\nSPEC_FILE="from the file"\n');

  expect(processEnvironment()).toMatchObject({ SPEC_REAL: 'environment', SPEC_FILE: 'from the file' });
});
