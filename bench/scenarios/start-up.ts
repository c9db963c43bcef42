import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/ports.js';
import { startProcess, type AppProcess } from '../../test/support/processes.js';
import type { Bench } from '../harness/bench.js';
import type { Sample, Scenario } from '../harness/scenario.js';

export const startUp: Scenario = {
  key: 'start-up',
  title: 'Starting',
  about: `From the start of the process until it listens, or takes jobs, on an installation that is there already. Standalone
(\`npm start\`) starts its PostgreSQL too; the first time it makes it, with all tables.`,
  figures: [
    { name: 'ready after', unit: 'ms' },
    { name: 'the first time', unit: 'ms' },
  ],
  contestants: [
    { name: 'API', measure: (bench) => entry(bench, 'main', /"listening"/) },
    { name: 'worker', measure: (bench) => entry(bench, 'worker', /"consuming"/) },
    { name: 'standalone', measure: standalone },
  ],
  bars: [],
  rounds: 3,
  slow: true,
};

async function entry(bench: Bench, name: 'main' | 'worker', ready: RegExp): Promise<Sample> {
  await bench.startOver();
  const env: Record<string, string> = { PORT: String(await freePort()) };
  const process = bench.platform(name, env);
  return { 'ready after': await timeTo(process, ready) };
}

async function standalone(): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-bench-'));
  try {
    const start = async (): Promise<number> => {
      const env = { DATA_DIR: join(folder, 'data'), PORT: String(await freePort()), LOG_FORMAT: 'json' };
      return timeTo(startProcess({ entry: 'standalone', env, cwd: folder }), /http:\/\/127\.0\.0\.1:\d/);
    };
    return { 'the first time': await start(), 'ready after': await start() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In ms, to about 25: so often its output is looked at. */
async function timeTo(process: AppProcess, ready: RegExp): Promise<number> {
  const start = performance.now();
  await process.ready(ready);
  const time = performance.now() - start;
  await process.stop();
  return time;
}
