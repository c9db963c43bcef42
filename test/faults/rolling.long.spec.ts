import { effectsJobs, type Submission } from './support/load.js';
import { scale } from './support/scale.js';
import { scenario } from './support/scenario.js';

const ROLLS = scale({ full: 10, short: 2 });

describe('rolling deploys', () => {
  scenario(
    'APIs and workers replaced by SIGTERM under load',
    {
      backends: ['redis', 'postgres'],
      short: [],
      shards: 2,
      env: { WORKER_CONCURRENCY: '20', SHUTDOWN_GRACE: '2000' },
    },
    async (trial) => {
      const [firstApi, secondApi, ...workers] = await Promise.all([
        trial.api(),
        trial.api(),
        trial.worker(),
        trial.worker(),
      ]);
      const load = trial.load({
        urls: [firstApi.url, secondApi.url],
        submissions: effectsJobs(Infinity, (n) => ({ beforeMs: n % 10 === 0 ? 1_000 : 0 })),
        connections: 32,
        pause: 5,
        retries: 1_000,
      });

      const codes: (number | null)[] = [];
      for (let roll = 0; roll < ROLLS; roll++) {
        await load.reaches(load.accepted.length + 300);
        const [api, worker] = roll % 2 === 0 ? [firstApi, workers[0]] : [secondApi, workers[1]];
        trial.fault(`SIGTERM of ${api.name} and ${worker?.name}`);
        codes.push(...(await Promise.all([api.roll(), worker?.roll() ?? null])));
      }
      await load.finish();

      const kept = load.broken.filter((broken) => broken.kept);
      trial.exactly(
        'requests failed on a connection that was kept',
        kept.map(({ code }) => code),
        [],
      );
      trial.exactly('answers of 5xx', load.serverErrors, 0);
      trial.exactly('exit codes', [...new Set(codes)], [0]);
      trial.exactly(
        'jobs taken from a worker that ended in good order',
        await trial.platform.value(`SELECT count(*)::int FROM job_events WHERE kind = 'reaped'`),
        0,
      );
    },
  );

  scenario(
    'a job type that the workers do not know yet',
    { backends: ['redis', 'postgres'], short: [], env: { WORKER_CONCURRENCY: '20' } },
    async (trial) => {
      const { platform } = trial;
      const [, worker] = await Promise.all([trial.api(trial.nextRelease), trial.worker()]);
      trial.fault('20 jobs of a type that only the API knows');
      const newcomer: Submission = { body: { type: 'newcomer_effects', data: {} } };
      const ids = await trial.submit(Array<Submission>(20).fill(newcomer));
      await trial.submit(effectsJobs(20));
      const released = `SELECT count(DISTINCT job_id)::int FROM job_events WHERE kind = 'released'`;
      await platform.untilSql(released, 20);

      await worker.roll(trial.nextRelease);
      await trial.drain();
      trial.exactly(
        'of the new type completed, each in one attempt',
        await platform.value(
          `SELECT count(*)::int FROM jobs WHERE id = ANY($1) AND status = 'completed' AND attempts_made = 1`,
          [ids],
        ),
        20,
      );
    },
  );
});
