import { setTimeout as sleep } from 'node:timers/promises';
import { buildLedger } from '../support/extension.js';
import { type JobView, postJobs, startPlatform, type TestPlatform } from '../support/platform.js';

const ACTIVE = 'SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL';
const LIVE = 'SELECT count(*)::int FROM dispatch';

describe('the end of a worker, amid 50 running jobs', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({
      workers: 0,
      env: { EXTENSIONS: buildLedger(), WORKER_CONCURRENCY: '50', SHUTDOWN_GRACE: '1500' },
    });
  });
  afterAll(() => platform?.stop());

  // One after the other: each test leaves the platform without a worker and without a live job.
  afterEach(async () => {
    await Promise.all(platform.workers.map((worker) => worker.kill()));
    expect(await platform.value(LIVE)).toBe(0);
  });

  it('on SIGTERM finishes or hands back every one, and burns no attempt', async () => {
    const worker = await platform.startWorker();
    const obedient = await submit(20, 'record_effect', (n) => ({ key: `obedient ${n}`, holdMs: 2_500 }));
    const slow = await submit(20, 'stubborn', (n) => ({ key: `slow ${n}`, ignoreMs: 1_000 }));
    const endless = await submit(10, 'stubborn', (n) => ({ key: `endless ${n}`, ignoreMs: 7_000 }));
    await platform.untilSql(ACTIVE, 50);

    expect(await worker.stop('SIGTERM', 10_000)).toBe(0);

    expect(await statuses(slow)).toEqual({ completed: 20 });
    expect(await statuses([...obedient, ...endless])).toEqual({ waiting: 30 });
    expect(await eventsOf([...obedient, ...endless])).toEqual([
      { kind: 'released', reason: 'shutdown', count: 30 },
    ]);
    expect(await eventsOf(slow)).toEqual([]);
    expect(await platform.sql('SELECT * FROM workers')).toEqual([]);

    await platform.startWorker();
    const jobs = [...obedient, ...slow, ...endless];
    await platform.untilSql(LIVE, 0);
    await expectOneAttemptEach(jobs);
    expect(await effects(jobs)).toEqual({ effects: 50, jobs: 50 });
  });

  it('on SIGKILL has them picked up by another within 30 s, and burns no attempt', async () => {
    const worker = await platform.startWorker();
    const jobs = await submit(50, 'record_effect', (n) => ({ key: `killed ${n}`, holdMs: 3_000 }));
    await platform.untilSql(ACTIVE, 50);

    await worker.kill();
    const killed = performance.now();
    expect(await statuses(jobs)).toEqual({ active: 50 });
    const other = await platform.startWorker(); // the worst case: it must first show for a lease that it lives itself
    await platform.untilSql(`SELECT count(*)::int FROM job_events WHERE kind = 'reaped'`, 50, 30_000);
    await platform.untilSql(ACTIVE, 50, 30_000 - (performance.now() - killed));
    const taken = performance.now() - killed;
    process.stdout.write(`50 jobs of a killed worker: running again after ${(taken / 1_000).toFixed(1)} s\n`);
    expect(taken).toBeLessThan(30_000);

    await platform.untilSql(LIVE, 0);
    await expectOneAttemptEach(jobs);
    expect(await eventsOf(jobs)).toEqual([{ kind: 'reaped', reason: null, count: 50 }]);
    expect(await effects(jobs)).toEqual({ effects: 50, jobs: 50 });
    expect(await platform.sql('SELECT pid FROM workers')).toEqual([{ pid: other.pid }]);
  });

  it('stopped past its lease and woken again has its late settlements refused', async () => {
    const sleeper = await platform.startWorker();
    const other = await platform.startWorker();
    const jobs = [
      ...(await submit(10, 'stubborn', (n) => ({ key: `asleep ${n}`, ignoreMs: 1_500 }))),
      ...(await submit(10, 'record_effect', (n) => ({ key: `asleep too ${n}`, holdMs: 1_500 }))),
    ];
    await platform.untilSql(ACTIVE, 20);
    sleeper.pause();
    const held = await platform.value<number>(
      'SELECT count(*)::int FROM dispatch JOIN workers w ON w.id = worker_id WHERE w.pid = $1',
      [sleeper.pid],
    );
    expect(held).toBeGreaterThan(0);

    await platform.untilSql(LIVE, 0, 40_000);
    const settled = await recordsOf(jobs);
    expect(sleeper.output()).not.toContain('"refused"');
    sleeper.resume();

    // Whatever comes first: a settlement that is refused, or the worker's own look at what it still holds.
    const given = () => sleeper.output().match(/"refused"|"released".*"lease lost"/g)?.length ?? 0;
    for (let tries = 0; given() < held && tries < 100; tries++) await sleep(100);
    expect(given()).toBe(held);
    expect(sleeper.output()).toContain('"refused"');
    expect(await recordsOf(jobs)).toEqual(settled);
    await expectOneAttemptEach(jobs);
    expect(await eventsOf(jobs)).toEqual([{ kind: 'reaped', reason: null, count: held }]);

    // It is not worse for it: it takes new work and has its row again.
    await other.stop();
    const [job] = await submit(1, 'record_effect', () => ({ key: 'awake' }));
    await platform.until(job?.id ?? '', 'completed');
    expect(await platform.sql('SELECT pid FROM workers')).toEqual([{ pid: sleeper.pid }]);
  });

  it('on SIGTERM of an API amid load loses no job that was accepted', async () => {
    await platform.startWorker();
    const api = await platform.startApi();
    let stopped = false;
    const load = postJobs(
      [api.url],
      untilTrue(() => stopped),
      32,
    );
    await sleep(1_000);

    const signalled = performance.now();
    const exitCode = await api.process.stop('SIGTERM', 10_000).finally(() => (stopped = true));
    const took = Math.round(performance.now() - signalled);
    const { accepted, refused } = await load;
    process.stdout.write(
      `SIGTERM of an API: ended in ${took} ms; ${accepted.length} jobs accepted, ${refused} requests refused\n`,
    );
    expect(exitCode).toBe(0);

    expect(accepted.length).toBeGreaterThan(20);
    await platform.untilSql(LIVE, 0, 30_000);
    const missing = await platform.sql(
      `SELECT a.id FROM unnest($1::uuid[]) a(id) LEFT JOIN jobs j ON j.id = a.id AND j.status = 'completed' WHERE j.id IS NULL`,
      [accepted],
    );
    expect(missing).toEqual([]);
  });

  function submit(count: number, type: string, data: (n: number) => unknown): Promise<JobView[]> {
    return platform.submitMany(Array.from({ length: count }, (_, n) => ({ type, data: data(n) })));
  }

  async function statuses(jobs: JobView[]): Promise<Record<string, number>> {
    const count: Record<string, number> = {};
    for (const { id } of jobs) {
      const { status } = await platform.job(id);
      count[status] = (count[status] ?? 0) + 1;
    }
    return count;
  }

  async function expectOneAttemptEach(jobs: JobView[]): Promise<void> {
    expect(await statuses(jobs)).toEqual({ completed: jobs.length });
    const [attempts] = await platform.sql(
      `SELECT count(*)::int AS attempts, count(DISTINCT job_id)::int AS jobs, max(number) AS last,
         array_agg(DISTINCT outcome) AS outcomes
       FROM all_attempts WHERE job_id = ANY($1)`,
      [jobs.map(({ id }) => id)],
    );
    const { length } = jobs;
    expect(attempts).toEqual({ attempts: length, jobs: length, last: 1, outcomes: ['completed'] });
  }

  function eventsOf(jobs: JobView[]): Promise<object[]> {
    return platform.sql(
      `SELECT kind, detail ->> 'reason' AS reason, count(*)::int FROM job_events WHERE job_id = ANY($1)
       GROUP BY 1, 2 ORDER BY 1, 2`,
      [jobs.map(({ id }) => id)],
    );
  }

  async function effects(jobs: JobView[]): Promise<object | undefined> {
    const ids = jobs.map(({ id }) => id);
    const [row] = await platform.sql(
      'SELECT count(*)::int AS effects, count(DISTINCT job_id)::int AS jobs FROM effects WHERE job_id = ANY($1)',
      [ids],
    );
    return row;
  }

  function recordsOf(jobs: JobView[]): Promise<object[]> {
    return platform.sql('SELECT * FROM jobs WHERE id = ANY($1) ORDER BY id', [jobs.map(({ id }) => id)]);
  }
});

function* untilTrue(stopped: () => boolean): Iterable<unknown> {
  for (let n = 0; !stopped(); n++) yield { type: 'record_effect', data: { key: `load ${n}` } };
}
