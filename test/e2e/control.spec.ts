import { buildLedger } from '../support/extension.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';

const AN_HOUR = 3_600_000;
const NOBODY = '01890000-0000-7000-8000-000000000000';

interface Problem {
  code: string;
  detail: string;
  errors?: { path: string }[];
}

describe.each(['redis', 'postgres'] as const)('a job under control, on the %s backend', (backend) => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({
      backend,
      workers: 2,
      env: { EXTENSIONS: buildLedger(), WORKER_CONCURRENCY: '4' },
    });
  });
  afterAll(() => platform?.stop());

  const post = (id: string, move: string, body?: unknown) =>
    platform.request<JobView & Problem>('POST', `/jobs/${id}/${move}`, body);

  const workersSay = (id: string, message: string): boolean =>
    platform.workers.some((worker) =>
      worker
        .output()
        .split('\n')
        .some((line) => line.includes(id) && line.includes(`"${message}"`)),
    );

  async function refused(id: string, move: string): Promise<Problem> {
    const before = await platform.job(id);
    const { status, body } = await post(id, move);
    expect(status).toBe(409);
    expect(await platform.job(id)).toEqual(before);
    return body;
  }

  describe('cancel', () => {
    it('ends a delayed job for good', async () => {
      const { id } = await platform.submit('record_effect', { key: `never ${backend}` }, { delay: 700 });

      const { status, body } = await post(id, 'cancel');

      expect(status).toBe(200);
      expect(body).toMatchObject({ id, status: 'cancelled', finishedAt: expect.any(String) as string });
      const { id: later } = await platform.submit(
        'record_effect',
        { key: `later ${backend}` },
        { delay: 900 },
      );
      await platform.until(later, 'completed');
      expect(await platform.sql('SELECT * FROM effects WHERE job_id = $1', [id])).toEqual([]);
      expect(await platform.job(id)).toMatchObject({ status: 'cancelled', attempts: [] });
    });

    it('stops one that runs within a second, in whichever worker it is', async () => {
      const jobs = await platform.submitMany(
        Array.from({ length: 4 }, () => ({ type: 'demo', data: { durationMs: 60_000 } })),
      );
      await Promise.all(jobs.map(({ id }) => platform.until(id, 'active')));

      const since = performance.now();
      for (const { id } of jobs) expect((await post(id, 'cancel')).body.status).toBe('cancelled');
      while (!jobs.every(({ id }) => workersSay(id, 'cancelled'))) {
        expect(performance.now() - since).toBeLessThan(5_000);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const took = performance.now() - since;
      process.stdout.write(`4 running jobs were stopped ${Math.round(took)} ms after the first cancel\n`);

      for (const { id } of jobs)
        expect(await platform.job(id)).toMatchObject({ status: 'cancelled', attempts: [], attemptsMade: 0 });
    });

    it('frees the worker of one that ignores its signal, and refuses what it brings', async () => {
      const key = `ignorant ${backend}`;
      const jobs = await platform.submitMany(
        Array.from({ length: 8 }, () => ({ type: 'stubborn', data: { key, ignoreMs: 4_000 } })),
      );
      await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL', 8);

      for (const { id } of jobs) await post(id, 'cancel');
      const { id } = await platform.submit('demo', { durationMs: 0 });

      await platform.until(id, 'completed', 3_000);
      await platform.untilSql(`SELECT count(*)::int FROM effects WHERE key = '${key}'`, 8);
      for (const job of jobs)
        expect(await platform.job(job.id)).toMatchObject({ status: 'cancelled', result: null });
    });

    it('is refused to a job that is over', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 });
      await platform.until(id, 'completed');

      expect(await refused(id, 'cancel')).toMatchObject({
        code: 'ILLEGAL_TRANSITION',
        detail: `Job ${id} is completed; cancel needs it to be waiting or delayed or active.`,
      });
    });
  });

  describe('run-now', () => {
    it('starts a job at once that was submitted for later', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: AN_HOUR });

      const { status, body } = await post(id, 'run-now');

      expect(status).toBe(202);
      expect(body.status).toBe('waiting');
      await platform.until(id, 'completed');
    });

    it('ends a back-off', async () => {
      const backoff = { kind: 'fixed', delay: AN_HOUR };
      const { id } = await platform.submit('demo', { durationMs: 0, failAttempts: 1 }, { backoff });
      await platform.untilSql(
        `SELECT count(*)::int FROM dispatch WHERE job_id = '${id}' AND token IS NULL AND run_at > now()`,
        1,
      );

      expect((await post(id, 'run-now')).status).toBe(202);

      expect(await platform.until(id, 'completed')).toMatchObject({ attemptsMade: 2 });
    });

    it('is refused to a job that is not delayed', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 });
      await platform.until(id, 'completed');

      expect(await refused(id, 'run-now')).toMatchObject({ code: 'ILLEGAL_TRANSITION' });
    });
  });

  describe('retry', () => {
    it('with other data runs with these, and keeps the old attempts', async () => {
      const options = { attempts: 1 };
      const { id } = await platform.submit('demo', { durationMs: 0, failAttempts: 99 }, options);
      await platform.until(id, 'failed');

      const { status, body } = await post(id, 'retry', { data: { durationMs: 0, result: 'mended' } });

      expect(status).toBe(202);
      expect(body.data).toEqual({ durationMs: 0, result: 'mended' });
      const job = await platform.until(id, 'completed');
      expect(job.result).toBe('mended');
      expect(job.attempts.map(({ run, outcome }) => [run, outcome])).toEqual([
        [1, 'failed'],
        [2, 'completed'],
      ]);
    });

    it('runs a cancelled job after all', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: AN_HOUR });
      await post(id, 'cancel');

      expect((await post(id, 'retry')).status).toBe(202);

      expect(await platform.until(id, 'completed')).toMatchObject({ run: 2 });
    });

    it.each<[string, unknown, string]>([
      ['data that the type refuses', { data: { durationMs: -1 } }, 'data.durationMs'],
      ['an unknown field', { date: {} }, 'date'],
      ['a body that is no object', [], ''],
    ])('refuses %s, and changes nothing', async (_, body, path) => {
      const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: AN_HOUR });
      await post(id, 'cancel');

      const answer = await post(id, 'retry', body);

      expect(answer.status).toBe(400);
      expect(answer.body.errors?.map((error) => error.path)).toEqual([path]);
      expect(await platform.job(id)).toMatchObject({ status: 'cancelled', run: 1 });
    });
  });

  it.each(['cancel', 'run-now', 'retry'])(
    '%s of what is not there answers 404, of no id 400',
    async (move) => {
      expect((await post(NOBODY, move)).status).toBe(404);
      expect((await post('1', move)).status).toBe(400);
    },
  );
});
