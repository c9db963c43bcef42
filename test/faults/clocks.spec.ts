import { fileURLToPath } from 'node:url';
import { effectsJobs, type Submission } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario } from './support/scenario.js';

const WRONG_CLOCK = fileURLToPath(new URL('./support/wrong-clock.cjs', import.meta.url));
const FIVE_MINUTES = 300_000;
/** s. A machine that is busy with other tests is late by itself; a clock that was believed would be wrong by minutes. */
const LATEST = scale({ full: 1, short: 5 });

function clockWrongBy(ms: number): Record<string, string> {
  return { NODE_OPTIONS: `--require=${WRONG_CLOCK}`, CLOCK_SHIFT_MS: String(ms) };
}

describe('clocks that are wrong', () => {
  scenario(
    'processes five minutes ahead and behind',
    { backends: ['redis', 'postgres'], short: ['redis'], env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const { platform } = trial;
      trial.fault('an API and a worker five minutes ahead, and one each behind');
      const [ahead, behind] = await Promise.all([
        trial.api(clockWrongBy(FIVE_MINUTES)),
        trial.api(clockWrongBy(-FIVE_MINUTES)),
        trial.worker(clockWrongBy(FIVE_MINUTES)),
        trial.worker(clockWrongBy(-FIVE_MINUTES)),
      ]);
      const [, told = ''] = /"time":"([^"]+)"/.exec(ahead.process.output()) ?? [];
      expect(Date.parse(told) - Date.now()).toBeGreaterThan(FIVE_MINUTES - 60_000);

      await trial.load({ urls: [ahead.url, behind.url], submissions: timed(), pause: 20 }).done;
      await trial.drain();

      trial.atMost(
        'latest start after its due time',
        await platform.value<number>(
          `SELECT max(extract(epoch FROM a.started_at - j.run_at))::float8
           FROM jobs j JOIN all_attempts a ON a.job_id = j.id`,
        ),
        LATEST,
        ' s',
      );

      /** By a delay, and by a time of day: both are the database's. */
      function* timed(): Iterable<Submission> {
        for (const { body } of effectsJobs(scaled(2_000))) {
          const wait = trial.random.integer(1_500, 15_000); // far enough apart that no machine is too busy
          const options =
            trial.random.next() < 0.5
              ? { delay: wait }
              : { runAt: new Date(Date.now() + wait).toISOString() };
          yield { body: { ...(body as object), options } };
        }
      }
    },
  );
});
