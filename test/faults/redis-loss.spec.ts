import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs } from './support/load.js';
import { deliveriesIn } from './support/redis-view.js';
import { scale, scaled } from './support/scale.js';
import { scenario } from './support/scenario.js';

const JOBS = scaled(10_000);
const KILLS = scale({ full: 5, short: 2 });

describe('Redis that loses what it holds', () => {
  scenario(
    'Redis killed amid submits, and wiped once',
    { shards: 4, env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const { platform, random } = trial;
      const [api] = await Promise.all([trial.api(), trial.worker()]);
      const load = trial.load({ urls: [api.url], submissions: effectsJobs(JOBS), pause: 50 });

      const faults = random.shuffled(['wipe', ...Array<string>(KILLS).fill('kill')]);
      for (const [n, moment] of random.moments(faults.length, JOBS).entries()) {
        await load.reaches(moment);
        if (faults[n] === 'wipe') {
          trial.fault('FLUSHALL');
          await platform.redis.flushAll();
        } else {
          trial.fault('kill -9 of redis-server, which comes back empty');
          await platform.redis.kill();
          await sleep(random.integer(50, 1_000));
          await platform.redis.start();
        }
      }
      await load.done;

      trial.exactly('submits that failed', load.refused + load.broken.length, 0);
    },
  );

  scenario(
    'FLUSHALL with waiting and delayed jobs',
    { shards: 4, env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const { platform } = trial;
      const waiting = scaled(4_000);
      const later = scaled(1_000);
      const delay = scale({ full: 20_000, short: 8_000 });
      await trial.api();
      await trial.submit(effectsJobs(waiting));
      await trial.submit(effectsJobs(later, undefined, { delay }));
      await untilDeliveries(waiting);

      trial.fault('FLUSHALL');
      await platform.redis.flushAll();
      const wiped = performance.now();
      expect(await deliveriesIn(platform)).toBeLessThan(waiting);
      await untilDeliveries(waiting);
      trial.atMost('all waiting jobs back in the queue after', (performance.now() - wiped) / 1_000, 30, ' s');

      await trial.worker();

      async function untilDeliveries(wanted: number): Promise<void> {
        const deadline = performance.now() + 40_000;
        while ((await deliveriesIn(platform)) < wanted) {
          if (performance.now() > deadline)
            throw new Error(`${await deliveriesIn(platform)} of ${wanted} deliveries`);
          await sleep(100);
        }
      }
    },
  );
});
