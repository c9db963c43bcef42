import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, type TestPlatform } from '../support/platform.js';

interface QueueView {
  name: string;
  paused: boolean;
  pausedSince: string | null;
  waiting: number;
  delayed: number;
  active: number;
  oldestWaiting: number | null;
  rates: { in: number; out: number; seconds: number };
  shards: number;
  workers: { id: string; pid: number; concurrency: number }[];
}

interface WorkerView {
  id: string;
  pid: number;
  types: string[];
  stale: boolean;
  concurrency: number;
  active: number;
  jobs: { id: string; type: string }[];
}

interface Percentiles {
  p50: number;
  p90: number;
  p99: number;
}

interface StatsView {
  seconds: number;
  types: {
    type: string;
    submitted: number;
    completed: number;
    failed: number;
    retried: number;
    throughput: number;
    wait: Percentiles | null;
    run: Percentiles | null;
  }[];
}

const AT_ONCE = { type: 'demo', data: { durationMs: 0 } };

/** Asks until the answer is as wanted. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`);
    await sleep(100);
  }
}

describe.each(['redis', 'postgres'] as const)('queues, workers and stats on the %s backend', (backend) => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ backend, env: { WORKER_CONCURRENCY: '3' } });
  });
  afterAll(() => platform?.stop());

  const get = async <Body>(path: string) => (await platform.request<Body>('GET', path)).body;
  const queue = () => get<QueueView>('/queues/default');
  const stats = (query = '') => get<StatsView>(`/stats${query}`);
  const workers = async () => (await get<{ items: WorkerView[] }>('/workers')).items;
  const post = async (move: string, name = 'default') =>
    (await platform.request<QueueView & { code: string }>('POST', `/queues/${name}/${move}`)).body;
  const startedOf = async (jobs: { id: string }[]) =>
    platform.value<number>('SELECT count(started_at)::int FROM jobs WHERE id = ANY($1)', [
      jobs.map(({ id }) => id),
    ]);

  it('a paused queue accepts jobs and starts none, over restarts and a wiped Redis, until it is resumed', async () => {
    const running = await platform.submit('demo', { durationMs: 1_500 });
    await platform.until(running.id, 'active');

    const paused = await post('pause');
    expect(paused).toMatchObject({ name: 'default', paused: true, pausedSince: expect.any(String) });
    expect((await post('pause')).pausedSince).toBe(paused.pausedSince);
    const jobs = await platform.submitMany(Array(20).fill(AT_ONCE));

    await platform.until(running.id, 'completed');
    if (backend === 'redis') await platform.redis.flushAll();
    await platform.workers[0]!.stop('SIGTERM', 10_000);
    const [api] = platform.apis.splice(0);
    await api!.process.stop('SIGTERM', 10_000);
    await Promise.all([platform.startApi(), platform.startWorker()]);
    await until(queue, ({ workers }) => workers.length === 1);
    await until(queue, ({ oldestWaiting }) => (oldestWaiting ?? 0) > 4_000);

    expect(await startedOf(jobs)).toBe(0);
    expect(await queue()).toMatchObject({ paused: true, pausedSince: paused.pausedSince, waiting: 20 });

    expect(await post('resume')).toMatchObject({ paused: false, pausedSince: null });
    expect(await post('resume')).toMatchObject({ paused: false });
    for (const { id } of jobs) await platform.until(id, 'completed');
    const after = await until(queue, ({ waiting, rates }) => waiting === 0 && rates.out > 0);
    expect(after).toMatchObject({ active: 0, oldestWaiting: null, shards: 1 });
  });

  it('a drain cancels what waits, and lets go on what runs', async () => {
    const running = await platform.submit('demo', { durationMs: 2_000 });
    await platform.until(running.id, 'active');
    await post('pause');
    const jobs = await platform.submitMany([
      ...Array<object>(5).fill(AT_ONCE),
      ...Array<object>(5).fill({ ...AT_ONCE, options: { delay: 3_600_000 } }),
    ] as { type: string; data: unknown }[]);

    const { status, headers, body } = await platform.request<{ id: string; matched: number }>(
      'POST',
      '/queues/default/drain',
    );

    expect([status, body.matched]).toEqual([202, 10]);
    expect(headers.get('location')).toBe(`/operations/${body.id}`);
    for (const { id } of jobs) await platform.until(id, 'cancelled');
    await post('resume');
    await platform.until(running.id, 'completed');
  });

  it('lists the queues, each with the workers that serve it', async () => {
    const { items } = await get<{ items: QueueView[] }>('/queues');

    expect(items.map(({ name }) => name)).toEqual(['default']);
    expect(items[0]!.workers).toEqual([expect.objectContaining({ concurrency: 3 })]);
  });

  it.each([
    ['a queue that nobody knows', 'GET', '/queues/unheard_of'],
    ['\\u0000 in its name', 'GET', '/queues/a%00b'],
    ['__proto__', 'GET', '/queues/__proto__'],
    ['a pause of one that nobody knows', 'POST', '/queues/unheard_of/pause'],
    ['a drain of one that nobody knows', 'POST', '/queues/unheard_of/drain'],
    ['a resume of a snail', 'POST', '/queues/%F0%9F%90%8C/resume'],
    ['a name of 3,000 letters', 'POST', `/queues/${'a'.repeat(3_000)}/pause`],
  ])('answers 404 to %s', async (_, method, path) => {
    const { status, body } = await platform.request<{ code: string }>(method, path);

    expect([status, body.code]).toEqual([404, 'QUEUE_NOT_FOUND']);
    expect(await platform.value('SELECT count(*)::int FROM queue_pauses')).toBe(0);
  });

  it('tells who works, and on what', async () => {
    const { id } = await platform.submit('demo', { durationMs: 3_000 });
    await platform.until(id, 'active');

    const [worker, ...more] = await workers();

    expect(more).toEqual([]);
    expect(worker).toMatchObject({
      ...{ pid: platform.workers.at(-1)!.pid, stale: false, concurrency: 3, active: 1 },
      types: expect.arrayContaining(['demo', 'send_email']),
      jobs: [{ id, type: 'demo', since: expect.any(String) }],
    });
    await platform.until(id, 'completed');
    expect((await workers())[0]).toMatchObject({ active: 0, jobs: [] });
  });

  it('keeps what became of jobs, and how long they waited and ran, also over a restart', async () => {
    await platform.submitMany([
      ...Array<object>(6).fill({ type: 'demo', data: { durationMs: 200 } }),
      { type: 'demo', data: { durationMs: 0, failAttempts: 1 }, options: { attempts: 1 } },
      {
        type: 'demo',
        data: { durationMs: 0, failAttempts: 1 },
        options: { backoff: { kind: 'fixed', delay: 10 } },
      },
    ] as { type: string; data: unknown }[]);
    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
    await platform.workers.at(-1)!.stop('SIGTERM', 10_000);
    await platform.startWorker();

    const [onRecord] = await platform.sql<{ submitted: number; completed: number }>(
      `SELECT count(*)::int AS submitted, (count(*) FILTER (WHERE status = 'completed'))::int AS completed FROM jobs`,
    );
    const demoOf = async () => (await stats()).types[0];
    const demo = (await until(demoOf, (type) => type?.submitted === onRecord!.submitted))!;

    expect(demo).toMatchObject({ ...onRecord, type: 'demo', failed: 1, retried: 1 });
    expect(demo.throughput).toBeGreaterThan(0);
    expect(demo.run!.p99).toBeGreaterThan(150);
    expect(demo.run!.p50).toBeLessThanOrEqual(demo.run!.p90);
    expect(demo.wait!.p90).toBeGreaterThan(0);
    expect((await stats('?minutes=1440')).seconds).toBeGreaterThanOrEqual(86_400);
  });

  it.each(['minutes=0', 'minutes=1441', 'minutes=x', 'minutes=5&minutes=6'])(
    'refuses statistics over %s',
    async (query) => {
      const { status, body } = await platform.request<{ errors: { path: string }[] }>(
        'GET',
        `/stats?${query}`,
      );

      expect(status).toBe(400);
      expect(body.errors.map(({ path }) => path)).toEqual(['minutes']);
    },
  );
});
