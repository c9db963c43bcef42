import { effectsJobs, type Submission } from './support/load.js';
import { scenario } from './support/scenario.js';

const NEIGHBOURS = 99;
/** Two crashes beside others, three alone. */
const CRASHES = 5;

describe('a job that kills its process', () => {
  scenario(
    'is quarantined, and its neighbours complete',
    {
      backends: ['redis', 'postgres'],
      short: ['redis'],
      env: { WORKER_CONCURRENCY: '10' },
      limit: 170_000,
      drain: 120_000,
    },
    async (trial) => {
      const { platform } = trial;
      await trial.api();
      const workers = await Promise.all([trial.worker(), trial.worker()]);
      for (const worker of workers) worker.supervise();

      const neighbours = await trial.submit(effectsJobs(NEIGHBOURS, () => ({ beforeMs: 200 })));
      const poison: Submission = { body: { type: 'kills_process', data: {}, options: { priority: 0 } } };
      const [id] = await trial.submit([poison]);
      trial.fault('a job that kills its process');
      await trial.drain();

      const job = await platform.job(id ?? '');
      trial.exactly('the job ended', [job.status, job.error?.code], ['failed', 'CRASHED']);
      const restarts = workers.reduce((sum, { started }) => sum + started - 1, 0);
      trial.exactly('processes it has killed', restarts, CRASHES);
      trial.exactly(
        'neighbours completed, each in one attempt',
        await platform.value(
          `SELECT count(*)::int FROM jobs WHERE id = ANY($1) AND status = 'completed' AND attempts_made = 1`,
          [neighbours],
        ),
        NEIGHBOURS,
      );
    },
  );
});
