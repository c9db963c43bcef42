import type { JobTypeRegistry } from './job-type-registry.js';

const FIRST = 'send_email';

/**
 * The command that people are shown as a first job, the same wherever they look: README, the end of `npm start`, the first
 * page. @param needsKey whether the API asks for a key, which the shell then has in `API_KEY`
 */
export function firstJobCommand(types: JobTypeRegistry, origin: string, needsKey: boolean): string {
  const { name, example } = types.get(FIRST);
  const key = needsKey ? ' -H "Authorization: Bearer $API_KEY"' : '';
  const body = JSON.stringify({ type: name, data: example }).replaceAll("'", `'\\''`);
  return `curl -i ${origin}/jobs${key} -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}
