import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface ComposeService {
  image: string;
  command?: string[];
  restart: string;
  environment: Record<string, unknown>;
  env_file?: { path: string; required: boolean }[];
  ports?: string[];
  volumes?: string[];
  profiles?: string[];
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  deploy?: { resources?: { limits?: { cpus?: string; memory?: string } } };
  stop_grace_period?: string;
  read_only?: boolean;
  cap_drop?: string[];
}

export interface ComposeFile {
  name: string;
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

/** Reads a Compose file as Compose does: anchors and merge keys resolved, variables filled in. */
export function readCompose(file: string, variables: Record<string, string>): ComposeFile {
  const document: unknown = parse(readFileSync(file, 'utf8'), { merge: true });
  return filledIn(document, variables) as ComposeFile;
}

/** Variables of a `.env` file. */
export function readEnvFile(file: string): Record<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n');
  const pairs = lines.flatMap((line) => {
    const [, name, value = ''] = line.match(/^([A-Z_]+)=(.*)$/) ?? [];
    return name ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}

function filledIn(value: unknown, variables: Record<string, string>): unknown {
  if (typeof value === 'string') return interpolate(value, variables);
  if (Array.isArray(value)) return value.map((item) => filledIn(item, variables));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filledIn(item, variables)]));
}

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`: an empty variable counts as absent. */
function interpolate(text: string, variables: Record<string, string>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, operator, word: string) => {
    const value = variables[name];
    if (value) return value;
    if (operator === '-') return word;
    throw new Error(operator === '?' ? `${name}: ${word}` : `${name} is not set`);
  });
}
