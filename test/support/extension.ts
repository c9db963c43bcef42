import { transformFileSync } from '@swc/core';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterThisFile } from './child.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const dist = pathToFileURL(join(repository, 'dist')).href;

/**
 * Builds another team's module as its own build would: TypeScript to JavaScript, importing the built platform. It lies
 * under node_modules, from where packages are found, and is deleted after the test file.
 * @param folder with the module's sources @param entry the file that exports the module as default
 * @returns what EXTENSIONS takes
 */
export function buildExtension(folder: string, entry: string): string {
  const cache = join(repository, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const output = mkdtempSync(join(cache, 'extension-'));
  afterThisFile(async () => rmSync(output, { recursive: true, force: true }));

  writeFileSync(join(output, 'package.json'), '{ "type": "module" }');
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    writeFileSync(join(output, `${basename(file, '.ts')}.js`), compiled(join(folder, file)));
  }
  return join(output, `${basename(entry, '.ts')}.js`);
}

/** The module of test/e2e/extension, which several tests load. */
export function buildLedger(): string {
  return buildExtension(resolve(repository, 'test/e2e/extension'), 'ledger.module.ts');
}

function compiled(file: string): string {
  const { code } = transformFileSync(file, {
    swcrc: false,
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      target: 'es2022',
      keepClassNames: true,
    },
    module: { type: 'es6' },
  });
  return code.replaceAll(/(from\s+["'])(?:\.\.\/)+src\//g, `$1${dist}/`);
}
