/** graphile-worker with its local queue and batched completions. It deletes what is completed, and so keeps no record. */
import { makeWorkerUtils, run } from 'graphile-worker';
import { completions } from './completions.mjs';

const connectionString = process.env.DATABASE_URL;

if (process.argv[2] === 'seed') await seed(Number(process.argv[3]));
else await work(Number(process.env.CONCURRENCY), Number(process.env.JOBS));

async function seed(count) {
  const utils = await makeWorkerUtils({ connectionString });
  await utils.migrate();
  for (let at = 0; at < count; at += 1_000) {
    const length = Math.min(1_000, count - at);
    await utils.addJobs(Array.from({ length }, () => ({ identifier: 'noop', payload: { durationMs: 0 } })));
  }
  process.exit();
}

async function work(concurrentJobs, jobs) {
  const runner = await run({
    preset: {
      worker: {
        connectionString,
        maxPoolSize: 10,
        concurrentJobs,
        localQueue: { size: 5 * concurrentJobs },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
    taskList: { noop: async () => undefined },
  });
  runner.events.on('job:success', completions(jobs));
}
