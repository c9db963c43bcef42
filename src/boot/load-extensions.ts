import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AppConfig } from '../config/app-config.js';
import { ConfigError } from '../config/config-error.js';
import { reasonOf } from '../standalone/error-code.js';
import { isModule, type ModuleImport } from '../job-types/job-types.module.js';

/** The Nest modules that EXTENSIONS names: each file exports one as its default. @throws ConfigError naming the file */
export async function loadExtensions({ extensions }: AppConfig): Promise<ModuleImport[]> {
  return Promise.all(extensions.map(loadExtension));
}

async function loadExtension(file: string): Promise<ModuleImport> {
  try {
    const loaded = (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown };
    if (isModule(loaded.default)) return loaded.default;
  } catch (error) {
    const [reason = ''] = reasonOf(error).split('\n'); // further lines are of the module loader's stack
    throw unusable(`${file} cannot be loaded: ${reason}`);
  }
  throw unusable(`${file} has no Nest module as its default export`);
}

function unusable(problem: string): ConfigError {
  return new ConfigError(new Map([['EXTENSIONS', problem]]));
}
