import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Post } from './support/crew.js';
import { effectsJobs } from './support/load.js';
import { scenario, type Trial } from './support/scenario.js';

const MINUTES = Number(process.env.SOAK_MINUTES ?? 30);
const BACKEND = process.env.SOAK_BACKEND === 'postgres' ? 'postgres' : 'redis';
const PROGRESS = 10_000;

interface Installation {
  trial: Trial;
  apis: Post[];
  workers: Post[];
}

type Faults = Record<string, (installation: Installation) => Promise<unknown>>;

/** Each is over, and mended, when it resolves. */
const FAULTS: Faults = {
  'kill -9 of an API': ({ trial, apis }) => trial.random.pick(apis).crash(),
  'kill -9 of a worker': ({ trial, workers }) => trial.random.pick(workers).crash(),
  'SIGTERM of an API': ({ trial, apis }) => trial.random.pick(apis).roll(),
  'SIGTERM of a worker': ({ trial, workers }) => trial.random.pick(workers).roll(),
  'SIGSTOP of a worker past its lease': async ({ trial, workers }) => {
    const { process } = trial.random.pick(workers);
    process.pause();
    await sleep(15_000);
    process.resume();
  },
  'kill -9 of PostgreSQL': async ({ trial }) => {
    await trial.platform.postgres.kill();
    await sleep(trial.random.integer(100, 5_000));
    await trial.platform.postgres.start();
  },
  'a transaction left open': async ({ trial }) => {
    const client = new Client({ connectionString: trial.platform.env['DATABASE_URL'] });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM dispatch');
    await sleep(10_000);
    await client.end();
  },
};

const REDIS_FAULTS: Faults = {
  'kill -9 of redis-server': async ({ trial }) => {
    await trial.platform.redis.kill();
    await sleep(trial.random.integer(100, 5_000));
    await trial.platform.redis.start();
  },
  'SIGSTOP of redis-server': async ({ trial }) => {
    trial.platform.redis.pause();
    await sleep(trial.random.integer(1_000, 10_000));
    trial.platform.redis.resume();
  },
  FLUSHALL: ({ trial }) => trial.platform.redis.flushAll(),
};

const POSSIBLE: Faults = BACKEND === 'redis' ? { ...FAULTS, ...REDIS_FAULTS } : FAULTS;

describe(`a soak of ${MINUTES} minutes`, () => {
  scenario(
    'all faults mixed',
    {
      backends: [BACKEND],
      shards: 2,
      env: { WORKER_CONCURRENCY: '20', SHUTDOWN_GRACE: '2000' },
      drain: 180_000,
      limit: MINUTES * 60_000 + 600_000,
    },
    async (trial) => {
      const [apis, workers] = await Promise.all([
        Promise.all([trial.api(), trial.api()]),
        Promise.all([trial.worker(), trial.worker(), trial.worker()]),
      ]);
      const load = trial.load({
        urls: apis.map(({ url }) => url),
        submissions: effectsJobs(Infinity, (n) => ({
          beforeMs: n % 10 === 0 ? 500 : 0,
          failAttempts: n % 50 === 0 ? 1 : 0,
          stubborn: n % 7 === 0,
        })),
        connections: 16,
        pause: 100,
        retries: 100_000,
      });
      const printing = setInterval(() => void progress(trial, load.accepted.length), PROGRESS);

      const end = performance.now() + MINUTES * 60_000;
      while (performance.now() < end) {
        const name = trial.random.pick(Object.keys(POSSIBLE));
        trial.fault(name);
        await POSSIBLE[name]?.({ trial, apis, workers });
        await sleep(trial.random.integer(1_000, 15_000));
      }
      await load.finish();
      await trial.drain();
      clearInterval(printing);
      trial.exactly('given up by the client', load.refused, 0);
    },
  );
});

async function progress(trial: Trial, accepted: number): Promise<void> {
  const live = await trial.platform
    .value<number>('SELECT count(*)::int FROM dispatch')
    .catch(() => 'PostgreSQL is away');
  process.stdout.write(
    `${trial.elapsed()}: ${accepted} accepted, live: ${live}; last: ${trial.lastNote()}\n`,
  );
}
