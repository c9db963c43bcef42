import type { Post } from './support/crew.js';
import { effectsJobs } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const JOBS = scaled(10_000);
const KILLS = scale({ full: 10, short: 1 });

/** Where an API can be when it dies between accepting a job and handing it on. */
const POINTS = ['before-commit', 'after-commit', 'before-push', 'after-push', 'after-mark'];
/** The seed chooses those that a short run takes. */
const POINTS_TRIED = scale({ full: POINTS.length, short: 2 });

/** So long (ms) a process gets to die at its failpoint. Where others do all the pushing, they go first. */
const PATIENCE = 3_000;

/** ms. Submits must not outrun the one worker for minutes on end, or what is measured is its backlog. */
const PAUSE_WITHOUT_REDIS = 400;

const OUTBOX = 'SELECT count(*)::int FROM dispatch WHERE pushed_at IS NULL AND run_at <= now()';

describe('API processes that die', () => {
  scenario(
    'API processes killed amid submits',
    { backends: ['redis', 'postgres'], short: ['redis'], shards: 2, env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const points = trial.random.shuffled(POINTS).slice(0, POINTS_TRIED);
      const deaths = trial.random.shuffled([...points, ...Array<string>(KILLS).fill('any moment')]);
      const orders = deaths.map((point) =>
        point === 'any moment' ? '' : `${point}:kill:${trial.random.integer(1, 3)}`,
      );
      const [doomed, ...others] = await Promise.all([
        trial.api({}, { FAILPOINTS: orders[0] ?? '' }),
        trial.api(),
        trial.worker(),
      ]);
      const load = trial.load({
        urls: [doomed.url, others[0].url],
        submissions: effectsJobs(Infinity, (n) => ({ failAttempts: n % 50 === 0 ? 1 : 0 })),
        pause: trial.backend === 'postgres' ? PAUSE_WITHOUT_REDIS : scale({ full: 50, short: 200 }),
        retries: 1_000,
      });

      for (const [n, moment] of trial.random.moments(deaths.length, JOBS).entries()) {
        await load.reaches(moment);
        trial.fault(`${doomed.name} dies at ${orders[n] || 'once'}`);
        const next = { FAILPOINTS: orders[n + 1] ?? '' };
        if (orders[n]) {
          await diesInTime(trial, doomed, others);
          await doomed.fill(next);
        } else await doomed.crash(next);
      }
      await load.finish(JOBS);

      trial.exactly('given up by the client', load.refused, 0);
      trial.exactly('answers of 5xx', load.serverErrors, 0);
      trial.atMost('outbox empty after', await trial.secondsUntil(OUTBOX, 0, 20), 10, ' s');
    },
  );
});

async function diesInTime(trial: Trial, doomed: Post, [api, worker]: [Post, Post]): Promise<void> {
  if (await doomed.endsWithin(PATIENCE)) return;

  trial.fault(`${api.name} is killed and ${worker.name} replaced, and ${doomed.name} has to push`);
  await api.process.kill();
  await worker.roll();
  if (!(await doomed.endsWithin(30_000))) throw new Error(`${doomed.name} did not get to its failpoint`);
  await api.fill();
}
