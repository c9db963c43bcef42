import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs, type Load, percentile, type Submission } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const SHARDS = 4;
/** The outage of five minutes, shortened to a fifth and to a fiftieth. */
const OUTAGE = scale({ full: 60_000, short: 6_000 });
const WAITING = scaled(20_000);

describe('Redis that does not answer', () => {
  scenario(
    'Redis stopped by SIGSTOP under load',
    { shards: SHARDS, short: [], env: { WORKER_CONCURRENCY: '50' } },
    async (trial) => {
      const { redis } = trial.platform;
      const [api] = await Promise.all([trial.api(), trial.worker()]);
      const normal = await normalP99(trial, api.url);

      trial.fault('SIGSTOP of redis-server');
      redis.pause();
      const load = trial.load({ ...steady(api.url), submissions: effectsJobs(Infinity) });
      await sleep(scale({ full: 60_000, short: 10_000 }));
      await load.finish();
      redis.resume();

      expectFast(trial, load, normal);
    },
  );

  scenario(
    'Redis away while jobs pile up',
    { shards: SHARDS, short: [], env: { WORKER_CONCURRENCY: '50' }, drain: 120_000 },
    async (trial) => {
      const { platform, random } = trial;
      const api = await trial.api();
      const normal = await normalP99(trial, api.url);

      trial.fault(`redis-server away for ${OUTAGE / 1_000} s or more`);
      await platform.redis.kill();
      const down = performance.now();
      const load = trial.load({ ...steady(api.url), submissions: withPriorities() });
      await load.done;
      await sleep(Math.max(0, down + OUTAGE - performance.now()));
      await platform.redis.start();
      await trial.worker();
      await trial.drain();

      expectFast(trial, load, normal);
      trial.exactly(
        'pushed before one that comes first by (priority, due time)',
        await platform.value(INVERSIONS, [load.accepted, SHARDS]),
        0,
      );

      function* withPriorities(): Iterable<Submission> {
        for (const { body } of effectsJobs(WAITING)) {
          yield { body: { ...(body as object), options: { priority: random.pick([0, 50, 100]) } } };
        }
      }
    },
  );
});

/** Each batch that the relay pushes bears one time. */
const INVERSIONS = `
SELECT count(*)::int FROM (
  SELECT enqueued_at,
    max(enqueued_at) OVER (PARTITION BY job_shard(id, $2) ORDER BY priority, run_at, id) AS latest_so_far
  FROM jobs WHERE id = ANY($1)
) pushed
WHERE enqueued_at < latest_so_far`;

/** Connections that wait for nobody but are far from all that the API can take: so that latency is its own. */
function steady(url: string): { urls: string[]; connections: number; pause: number } {
  return { urls: [url], connections: 16, pause: 40 };
}

/** ms, with everything well. */
async function normalP99(trial: Trial, url: string): Promise<number> {
  const warmUp = trial.load({ ...steady(url), submissions: effectsJobs(200) });
  await warmUp.done;
  const load = trial.load({ ...steady(url), submissions: effectsJobs(Infinity) });
  await sleep(scale({ full: 10_000, short: 3_000 }));
  await load.finish();
  trial.figure('normal submit p99', `${percentile(load.latencies, 0.99).toFixed(0)} ms`);
  return percentile(load.latencies, 0.99);
}

function expectFast(trial: Trial, load: Load, normal: number): void {
  trial.exactly('submits that failed', load.refused + load.broken.length, 0);
  trial.atMost('submit p99', percentile(load.latencies, 0.99), Math.max(2 * normal, 100), ' ms');
}
