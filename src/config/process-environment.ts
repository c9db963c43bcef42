import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** What this process was told. A `.env` file in the working directory adds what the environment does not say. */
export function processEnvironment(): NodeJS.ProcessEnv {
  const file = existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {};
  for (const [name, value] of Object.entries(file)) process.env[name] ??= value;
  return process.env;
}
