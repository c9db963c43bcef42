import type { Bench } from '../harness/bench.js';
import { seed } from '../harness/jobs.js';
import { load } from '../harness/load.js';
import type { Contestant, Scenario } from '../harness/scenario.js';
import { setTimeout as sleep } from 'node:timers/promises';

const [COMPLETED, WAITING] = [10_000, 2_000];
const HISTORY = 'history';

export const reads: Scenario = {
  key: 'reads',
  title: 'Reading',
  about: `${COMPLETED.toLocaleString('en')} completed jobs and ${WAITING.toLocaleString('en')} waiting ones on record; 4 connections ask the API, each as soon as it is answered.
A page holds 50 jobs.`,
  figures: [
    { name: 'requests', unit: '/s' },
    { name: 'p50', unit: 'ms' },
    { name: 'p99', unit: 'ms' },
  ],
  prepare,
  contestants: [
    reading('GET /jobs', () => '/jobs?limit=50'),
    reading('GET /jobs?status=completed', () => '/jobs?limit=50&status=completed'),
    reading('GET /jobs?status=waiting', () => '/jobs?limit=50&status=waiting'),
    reading('GET /jobs/:id', (id) => `/jobs/${id}`),
  ],
  bars: [],
  rounds: 3,
  slow: true,
};

function reading(name: string, pathOf: (id: string) => string): Contestant {
  return {
    name,
    measure: async (bench) => {
      await bench.startOver(HISTORY);
      const ids = await bench.query<{ id: string }>(
        `SELECT id FROM jobs TABLESAMPLE system (20) WHERE status = 'completed' LIMIT 500`,
      );
      const { process, url } = await bench.servePlatform();
      const paths = new Set(ids.map(({ id }) => pathOf(id)));
      const requests = [...paths].map((path) => ({ method: 'GET' as const, path }));
      const { answers, seconds, p50, p99 } = await load(bench, { url, requests, connections: 4 });
      await process.stop();
      return { requests: answers / seconds, p50, p99 };
    },
  };
}

async function prepare(bench: Bench): Promise<void> {
  await bench.startOver();
  await seed(bench, COMPLETED);
  const worker = await bench.startWorker({ WORKER_CONCURRENCY: '100' });
  while (await bench.value<boolean>('SELECT EXISTS (SELECT FROM dispatch)')) await sleep(200);
  await worker.stop();
  await seed(bench, WAITING);
  await bench.keepAs(HISTORY);
}
