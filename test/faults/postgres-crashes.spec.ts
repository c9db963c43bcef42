import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs, mixedJobs, type Submission } from './support/load.js';
import { scale, scaled } from './support/scale.js';
import { scenario } from './support/scenario.js';

const JOBS = scaled(10_000);
const KILLS = scale({ full: 5, short: 2 });
const AT_SETTLEMENT = scale({ full: 500, short: 50 });
const ACTIVE = 'SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL';

describe('PostgreSQL that crashes', () => {
  scenario(
    'PostgreSQL killed amid submits, with retries by the client',
    { backends: ['redis', 'postgres'], short: ['redis'], shards: 2, env: { WORKER_CONCURRENCY: '50' } },
    async (trial) => {
      const { platform, random } = trial;
      const [api] = await Promise.all([trial.api(), trial.worker()]);
      const load = trial.load({ urls: [api.url], submissions: keyed(JOBS), pause: 50, retries: 1_000 });

      for (const moment of random.moments(KILLS, JOBS)) {
        await load.reaches(moment);
        trial.fault('kill -9 of PostgreSQL, all of its processes at once');
        await platform.postgres.kill();
        await sleep(random.integer(50, 2_000));
        await platform.postgres.start();
      }
      await load.done;
      await trial.drain();

      trial.exactly('given up by the client', load.refused, 0);
      const rows = await platform.value<number>('SELECT count(*)::int FROM jobs');
      trial.exactly('rows, by the idempotency keys', rows, JOBS);
    },
  );

  scenario(
    'PostgreSQL away while jobs settle',
    {
      backends: ['redis', 'postgres'],
      short: [],
      env: { WORKER_CONCURRENCY: String(AT_SETTLEMENT / 2), DATABASE_POOL_SIZE: '20' },
    },
    async (trial) => {
      const { platform } = trial;
      await Promise.all([trial.api(), trial.worker(), trial.worker()]);
      const data = { afterMs: scale({ full: 6_000, short: 3_000 }), stubborn: true };
      await trial.submit(effectsJobs(AT_SETTLEMENT, () => data));
      await platform.untilSql('SELECT count(*)::int FROM effects', AT_SETTLEMENT, 60_000);
      const alive = await platform.sql<{ id: string }>('SELECT id FROM workers ORDER BY id');
      trial.note(`${await platform.value<number>(ACTIVE)} jobs are about to settle`);

      const outage = scale({ full: 30_000, short: 8_000 });
      trial.fault(`PostgreSQL killed, and away for ${outage / 1_000} s`);
      await platform.postgres.kill();
      await sleep(outage);
      await platform.postgres.start();
      await trial.drain();

      trial.atMost(
        'runs of one job',
        await platform.value(
          'SELECT max(n)::int FROM (SELECT count(*) AS n FROM effects GROUP BY job_id) runs',
        ),
        2,
      );
      trial.exactly(
        'jobs taken from a worker that lives',
        await platform.value(`SELECT count(*)::int FROM job_events WHERE kind = 'reaped'`),
        0,
      );
      trial.exactly(
        'workers that are still the same',
        await platform.value('SELECT count(*)::int FROM workers WHERE id = ANY($1)', [
          alive.map(({ id }) => id),
        ]),
        alive.length,
      );
    },
  );

  scenario(
    'PostgreSQL killed before claims are on disk',
    {
      backends: ['redis', 'postgres'],
      short: ['redis'],
      // Only what asks for it is on disk when it is answered: submits and settlements do, claims do not.
      settings: { synchronous_commit: 'off', wal_writer_delay: '10s', wal_writer_flush_after: '1GB' },
      env: { WORKER_CONCURRENCY: '50' },
    },
    async (trial) => {
      const { platform } = trial;
      await Promise.all([trial.api(), trial.worker()]);
      await trial.submit(effectsJobs(50, () => ({ beforeMs: 5_000, stubborn: true })));
      await platform.untilSql(ACTIVE, 50);

      trial.fault('kill -9 of PostgreSQL');
      await platform.postgres.kill();
      await platform.postgres.start();
      const kept = await platform.value<number>(ACTIVE);
      trial.atLeast('claims that the crash took back', 50 - kept, 1);
      await trial.drain();

      trial.exactly('runs', await platform.value('SELECT count(*)::int FROM effects'), 50);
    },
  );

  scenario('one poison row in a batch of 64', { short: ['redis'] }, async (trial) => {
    const [api] = await Promise.all([trial.api(), trial.worker()]);
    trial.fault('a row that PostgreSQL refuses');
    const load = trial.load({
      urls: [api.url],
      submissions: effectsJobs(64, (n) => (n === 30 ? { note: 'poison' } : {})),
    });
    await load.done;

    trial.exactly('accepted', load.accepted.length, 63);
    trial.exactly('refused', load.refused, 1);
  });

  scenario(
    'a transaction left open',
    { short: [], shards: 2, env: { WORKER_CONCURRENCY: '100' } },
    async (trial) => {
      const { platform } = trial;
      const [api] = await Promise.all([trial.api(), trial.worker()]);
      const before = await jobsPerSecond();

      trial.fault('a transaction that reads dispatch, and stays open');
      await platform.sql('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await platform.sql('SELECT count(*) FROM dispatch');
      const during: number[] = [];
      for (let round = 0; round < scale({ full: 6, short: 2 }); round++) during.push(await jobsPerSecond());
      await platform.sql('COMMIT');

      trial.figure('jobs/s before, and round by round while it is open', [before, ...during].join(', '));
      trial.atLeast('slowest round, of the rate before', Math.min(...during) / before, 0.33);

      async function jobsPerSecond(): Promise<number> {
        const count = scaled(10_000);
        const started = performance.now();
        const load = trial.load({ urls: [api.url], submissions: effectsJobs(count) });
        await load.done;
        while (!(await allEnded(load.accepted.at(-1) ?? ''))) await sleep(50);
        return Math.round((count / (performance.now() - started)) * 1_000);
      }

      /** Asked over HTTP: inside the open transaction nothing new is seen. */
      async function allEnded(last: string): Promise<boolean> {
        const answer = await fetch(`${api.url}/jobs/${last}`);
        const { status } = (await answer.json()) as { status: string };
        if (status !== 'completed') return false;
        const list = await fetch(`${api.url}/jobs?status=waiting&status=active&limit=1`);
        return ((await list.json()) as { items: unknown[] }).items.length === 0;
      }
    },
  );
});

function* keyed(count: number): Iterable<Submission> {
  let n = 0;
  for (const submission of mixedJobs(count)) {
    yield { ...submission, headers: { 'Idempotency-Key': `submit-${n++}` } };
  }
}
