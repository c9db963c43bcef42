import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs, percentile } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario } from './support/scenario.js';

const WAITING = scaled(100_000);
const RUNNING = 50;
const BULK = 1_000;

describe('a decision on very many jobs', () => {
  scenario(
    'cancel of all that waits, by filter, under load',
    { short: [], env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const { platform } = trial;
      const [api] = await Promise.all([trial.api(), trial.worker()]);
      const [effect] = [...effectsJobs(1)].map(({ body }) => body as { type: string; data: object });
      const many = (count: number, options: object, data = effect!.data) =>
        platform.submitMany(Array.from({ length: count }, () => ({ ...effect!, data, options })));

      const tags = ['to be cancelled'];
      for (let sent = 0; sent < WAITING; sent += BULK) await many(BULK, { tags, delay: 3_600_000 });
      const load = () =>
        trial.load({ urls: [api.url], connections: 16, pause: 40, submissions: effectsJobs(Infinity) });
      const normal = load();
      await sleep(scale({ full: 15_000, short: 3_000 }));
      await normal.finish();
      const normalP99 = percentile(normal.latencies, 0.99);
      trial.figure('normal submit p99', `${normalP99.toFixed(0)} ms`);
      await many(RUNNING, { tags });

      trial.fault(`cancel of ${WAITING} jobs`);
      const meanwhile = load();
      const since = performance.now();
      const started = await platform.request<{ id: string }>('POST', '/jobs/cancel', {
        filter: { tag: tags },
      });
      const progress = new Set<number>();
      for (let status = 'running'; status === 'running'; await sleep(100)) {
        const { body } = await platform.request<{ status: string; processed: number }>(
          'GET',
          `/operations/${started.body.id}`,
        );
        status = body.status;
        progress.add(body.processed);
      }
      const took = (performance.now() - since) / 1_000;
      await meanwhile.finish();
      await trial.drain();

      trial.figure('cancelled in', `${took.toFixed(1)} s`);
      trial.exactly('submits that failed', meanwhile.refused + meanwhile.broken.length, 0);
      trial.atMost(
        'submit p99 meanwhile',
        percentile(meanwhile.latencies, 0.99),
        Math.max(2 * normalP99, 100),
        ' ms',
      );
      trial.atLeast('states of its progress that were seen', progress.size, 3);
      trial.exactly(
        'in more than one state, or in none',
        await platform.value(`
          SELECT count(*)::int FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
          WHERE j.tags IS NOT NULL AND (j.status IS NULL OR d.job_id IS NOT NULL
            OR (j.status = 'cancelled') = EXISTS (
              SELECT FROM all_attempts a WHERE a.job_id = j.id AND a.outcome = 'completed'))`),
        0,
      );
    },
  );
});
