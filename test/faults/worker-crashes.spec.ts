import { setTimeout as sleep } from 'node:timers/promises';
import { mixedJobs } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const JOBS = scaled(5_000);
const KILLS = scale({ full: 20, short: 1 });

/** Where a worker can be when it dies with a job in hand. */
const POINTS = ['after-claim', 'after-effect', 'before-settle', 'after-settle', 'before-acknowledge'];
/** The seed chooses those that a short run takes. */
const POINTS_TRIED = scale({ full: POINTS.length, short: 2 });

describe('workers that die', () => {
  scenario(
    'workers killed amid jobs',
    { backends: ['redis', 'postgres'], short: ['redis'], env: { WORKER_CONCURRENCY: '20' } },
    async (trial) => {
      const { random } = trial;
      const points = random.shuffled(POINTS).slice(0, POINTS_TRIED);
      const deaths = random.shuffled([...points, ...Array<string>(KILLS).fill('any moment')]);
      const orders = deaths.map((point) =>
        point === 'any moment' ? '' : `${point}:kill:${random.integer(1, 40)}`,
      );
      const [api, doomed] = await Promise.all([
        trial.api(),
        trial.worker({}, { FAILPOINTS: orders[0] ?? '' }),
        trial.worker(), // one that lives, and takes over
      ]);
      const load = trial.load({
        urls: [api.url],
        submissions: mixedJobs(Infinity, (n) => ({ beforeMs: 100, afterMs: n % 5 === 0 ? 600 : 0 })),
        connections: 8,
        pause: 100,
      });

      const pickedUp: Promise<number>[] = [];
      for (const [n, order] of orders.entries()) {
        if (!order) await sleep(random.integer(300, 1_500));
        trial.fault(`${doomed.name} dies at ${order || 'once'}`);
        const ended = order ? await doomed.endsWithin(20_000) : false;
        const { pid } = doomed.process;
        await doomed.process.kill();
        trial.note(`${doomed.name} is dead${order && !ended ? ', but not at its failpoint' : ''}`);
        pickedUp.push(secondsUntilPickedUp(trial, pid));
        await doomed.fill({ FAILPOINTS: orders[n + 1] ?? '' });
      }
      await load.finish(JOBS);

      trial.atMost('picked up by another after', Math.max(...(await Promise.all(pickedUp))), 15, ' s');
      await trial.drain();
      trial.exactly(
        'attempts of a job that never failed',
        await trial.platform.value('SELECT max(number)::int FROM all_attempts'),
        1,
      );
    },
  );
});

/** s until no job that a dead process held is in its hands any more, but over or in another's. */
async function secondsUntilPickedUp({ platform }: Trial, pid: number): Promise<number> {
  const since = performance.now();
  const held = await platform.sql<{ token: string; job_id: string }>(
    'SELECT token, job_id FROM dispatch JOIN workers w ON w.id = worker_id WHERE w.pid = $1',
    [pid],
  );
  const left = `SELECT count(*)::int FROM dispatch
    WHERE job_id = ANY('{${held.map(({ job_id }) => job_id).join(',')}}')
      AND (token IS NULL OR token = ANY('{${held.map(({ token }) => token).join(',')}}'))`;
  for (;;) {
    const seconds = (performance.now() - since) / 1_000;
    if ((await platform.value(left)) === 0 || seconds > 60) return seconds;
    await sleep(100);
  }
}
