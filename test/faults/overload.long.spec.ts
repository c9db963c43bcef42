import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs, percentile } from './support/load.js';
import { scale } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const MAX_DEPTH = 500;
/** The worker can do 50 jobs a second: ten at a time, each of 200 ms. */
const CAPACITY = 50;
const LASTS = scale({ full: 60_000, short: 12_000 });
const NORMAL = scale({ full: 10_000, short: 4_000 });
const LOOK = 250;

describe('more work than can be done', () => {
  scenario('ten times overload', { short: [], env: { WORKER_CONCURRENCY: '10' } }, async (trial) => {
    const { platform } = trial;
    const [api] = await Promise.all([trial.api({ QUEUE_MAX_DEPTH: String(MAX_DEPTH) }), trial.worker()]);
    const load = (connections: number, pause: number) =>
      trial.load({
        urls: [api.url],
        connections,
        pause,
        submissions: effectsJobs(Infinity, () => ({ beforeMs: 200 })),
      });
    const p99Of = async () => {
      const normal = load(4, 120);
      await sleep(NORMAL);
      await normal.finish();
      return percentile(normal.latencies, 0.99);
    };
    const normalP99 = await p99Of();
    trial.figure('normal submit p99', `${normalP99.toFixed(0)} ms`);

    trial.fault(`${10 * CAPACITY} submits/s for ${LASTS / 1_000} s`);
    const over = load(80, 120);
    const { memory, depth } = await watch(trial, api.process.pid);
    await over.finish();
    const ended = performance.now();

    const offered = [...over.statuses.values()].reduce((sum, count) => sum + count, 0) / (LASTS / 1_000);
    trial.atLeast('submits a second', offered, 10 * CAPACITY);
    trial.figure('answers', JSON.stringify(Object.fromEntries(over.statuses)));
    trial.atLeast('refused', over.refused, 1);
    trial.exactly('refused without Retry-After', over.unexplained, 0);
    trial.exactly('requests without an answer', over.broken.length, 0);
    trial.atMost('jobs that waited at most', Math.max(...depth), MAX_DEPTH + 2 * offered);

    const half = memory.length >> 1;
    const [first, second] = [Math.max(...memory.slice(0, half)), Math.max(...memory.slice(half))];
    trial.atMost('memory of the API', Math.max(first, second), 400, ' MB');
    trial.atMost('in the second half, of the first', second / first, 1.5);

    await untilAccepted(api.url);
    const p99 = await p99Of();
    trial.atMost('submit p99 afterwards', p99, Math.max(2 * normalP99, 100), ' ms');
    trial.atMost('measured after', (performance.now() - ended) / 1_000, 30, ' s');
    await trial.drain();
    trial.exactly('waits for its commit, when all is over', await pendingRows(platform.url), 0);
  });
});

/** For as long as the overload lasts. @returns MB of a process, and jobs that wait, at each look */
async function watch(trial: Trial, pid: number): Promise<{ memory: number[]; depth: number[] }> {
  const [memory, depth]: [number[], number[]] = [[], []];
  for (const until = performance.now() + LASTS; performance.now() < until; await sleep(LOOK)) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    memory.push(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024);
    depth.push(
      await trial.platform.value<number>(
        'SELECT count(*)::int FROM dispatch WHERE token IS NULL AND run_at <= now()',
      ),
    );
  }
  return { memory, depth };
}

/** Asks as a client should that is told when to come again, though sooner. The job that is accepted counts for nothing. */
async function untilAccepted(url: string): Promise<void> {
  const body = JSON.stringify({ type: 'effects', data: { beforeMs: 1 } });
  for (;;) {
    const headers = { 'Content-Type': 'application/json' };
    if ((await fetch(`${url}/jobs`, { method: 'POST', headers, body })).status === 202) return;
    await sleep(500);
  }
}

async function pendingRows(url: string): Promise<number> {
  const stats = (await (await fetch(`${url}/stats`)).json()) as { process: { pendingRows: number } };
  return stats.process.pendingRows;
}
