import { transformFileSync } from '@swc/core';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterThisFile } from './child.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Another team's folder, outside the platform's: set up as docs/job-types.md says, and deleted after the test file. */
function teamFolder(packages: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-extension-'));
  afterThisFile(async () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');

  const link = (name: string, target: string) => {
    const path = join(folder, 'node_modules', name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  };
  link('job-queue-platform', repository);
  for (const name of packages) link(name, join(repository, 'node_modules', name));
  return folder;
}

/** The module of test/e2e/extension, which several tests load: compiled without a look at types, which takes its time. */
export function buildLedger(): string {
  return join(built('test/e2e/extension'), 'ledger.module.js');
}

/** The module of test/faults/extension: it wraps the platform's own parts, so it imports them from where they run. */
export function buildFaults(): string {
  return join(built('test/faults/extension'), 'faults.module.js');
}

/** The module of test/e2e/sandbox, whose job types run in threads. */
export function buildSandboxed(): string {
  return join(built('test/e2e/sandbox'), 'sandboxed.module.js');
}

function built(sources: string): string {
  const folder = teamFolder(['@nestjs/common', '@nestjs/core', 'zod', 'pg', 'bullmq']);
  const running = resolve(repository, 'dist');

  for (const file of readdirSync(resolve(repository, sources))) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    const code = compiled(resolve(repository, sources, file)).replaceAll('../../../src', running);
    writeFileSync(join(folder, `${basename(file, '.ts')}.js`), code);
  }
  return folder;
}

/**
 * The module that a page of documentation shows: its files, each named by the comment on its first line, compiled by
 * TypeScript with the settings that the page gives.
 * @param sections the headings under which the files stand
 * @returns the paths of the entries
 */
export function buildDocumented(page: string, sections: string[], entries: string[]): string[] {
  const folder = teamFolder(['@nestjs/common', 'zod', 'typescript', '@types/node']);
  const text = readFileSync(resolve(repository, page), 'utf8');
  const shown = sections.map((section) => {
    const [, chapter = ''] = text.split(`\n## ${section}\n`);
    return chapter.split('\n## ')[0];
  });

  for (const [, file = '', content = ''] of shown.join('').matchAll(/^```\w+\n\/\/ (\S+)\n(.*?)^```$/gms)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  const compiler = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [compiler], { cwd: folder, encoding: 'utf8' });
  return entries.map((entry) => join(folder, entry));
}

function compiled(file: string): string {
  return transformFileSync(file, {
    swcrc: false,
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      target: 'es2022',
      keepClassNames: true,
    },
    module: { type: 'es6' },
  }).code;
}
