import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from './support/fault-proxy.js';
import { effectsJobs } from './support/load.js';
import { scale } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const LASTS = scale({ full: 20_000, short: 5_000 });

const FAULTS: Record<string, (proxy: FaultProxy) => void> = {
  'latency of 50 ms': (proxy) => proxy.delay(50),
  'resets, again and again': (proxy) => proxy.refuse(),
  'requests that do not arrive': (proxy) => proxy.stopReading('request'),
  'answers that do not arrive': (proxy) => proxy.stopReading('answer'),
  'a black hole': (proxy) => proxy.swallow(),
};

describe('a network that fails', () => {
  scenario(
    'between the platform and PostgreSQL',
    { short: [], env: { WORKER_CONCURRENCY: '20' }, drain: 120_000 },
    async (trial) => {
      const proxy = await FaultProxy.start(trial.platform.env['DATABASE_URL'] ?? '');
      const env = { DATABASE_URL: proxy.url };
      await eachFault(trial, proxy, env, (load, healed) => {
        trial.exactly('given up by the client', load.refused, 0);
        trial.atMost('accepts again, after the worst of them', Math.max(...healed), 10, ' s');
      });
    },
  );

  scenario(
    'between the platform and Redis',
    { short: [], shards: 2, env: { WORKER_CONCURRENCY: '20' }, drain: 120_000 },
    async (trial) => {
      const proxy = await FaultProxy.start(trial.platform.redis.url);
      await eachFault(trial, proxy, { REDIS_URL: proxy.url }, (load) => {
        trial.exactly('submits that failed at first', load.broken.length + load.serverErrors, 0);
      });
    },
  );
});

type Load = ReturnType<Trial['load']>;

/** One fault after the other under load, each for a while, with all well in between. */
async function eachFault(
  trial: Trial,
  proxy: FaultProxy,
  env: Record<string, string>,
  judge: (load: Load, healed: number[]) => void,
): Promise<void> {
  const [api] = await Promise.all([trial.api(env), trial.worker(env)]);
  const load = trial.load({
    urls: [api.url],
    submissions: effectsJobs(Infinity, () => ({ beforeMs: 20 })),
    connections: 16,
    pause: 50,
    retries: 1_000,
  });
  const healed: number[] = [];
  for (const [name, begin] of trial.random.shuffled(Object.entries(FAULTS))) {
    await load.reaches(load.accepted.length + 100);
    trial.fault(name);
    begin(proxy);
    await sleep(LASTS);
    proxy.heal();
    const since = performance.now();
    await load.reaches(load.accepted.length + 20);
    healed.push((performance.now() - since) / 1_000);
    trial.note(`accepts again after ${healed.at(-1)?.toFixed(1)} s`);
  }
  await load.finish();
  await trial.drain();
  judge(load, healed);
  await proxy.stop();
}
