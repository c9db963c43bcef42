import { setTimeout as sleep } from 'node:timers/promises';
import { buildSandboxed } from '../../support/extension.js';
import { startPlatform, type JobView, type TestPlatform } from '../../support/platform.js';
import type { AppProcess } from '../../support/processes.js';

/** Of the main loop's lag: it tells the time at every turn, 500 ms apart. */
const FREE_LOOP = 1_000;

describe('a sandboxed job type', () => {
  let platform: TestPlatform;
  let worker: AppProcess;

  beforeAll(async () => {
    platform = await startPlatform({
      workers: 0,
      env: {
        EXTENSIONS: buildSandboxed(),
        SANDBOX_THREADS: '1',
        SANDBOX_MEMORY: '64',
        SHUTDOWN_GRACE: '500',
      },
    });
    worker = await platform.startWorker({ WORKER_QUEUES: 'default:20,compute:5,broken:1' });
  });
  afterAll(() => platform?.stop());

  const compute = (work: string, options: object = { attempts: 1 }, ms = 0): Promise<JobView> =>
    platform.submit('compute', { work, ms }, { backoff: { kind: 'fixed', delay: 50 }, ...options });
  const completed = async (id: string) =>
    (await platform.until(id, 'completed')).result as { threadId: number; result: unknown };
  const failure = async (work: string) => {
    const { id } = await compute(work);
    return platform.until(id, 'failed');
  };

  it('is shown as such', async () => {
    const { body } = await platform.request<{ sandboxed: boolean }>('GET', '/job-types/compute');
    const { body: demo } = await platform.request<{ sandboxed: boolean }>('GET', '/job-types/demo');

    expect([body.sandboxed, demo.sandboxed]).toEqual([true, false]);
  });

  it('computes while all else goes on: jobs, and the loop that beats', async () => {
    await completed((await compute('spin')).id); // the thread has started
    const { id } = await compute('spin', {}, 2_500);
    await platform.until(id, 'active');

    const quick = await platform.submitMany(
      Array.from({ length: 200 }, () => ({ type: 'demo', data: { durationMs: 0 } })),
    );
    let lag = 0;
    while ((await platform.job(id)).status === 'active') {
      const { body } = await platform.request<{ items: { lag: number }[] }>('GET', '/workers');
      lag = Math.max(lag, ...body.items.map((one) => one.lag));
      await sleep(100);
    }
    expect((await completed(id)).result).toEqual({ turned: true });
    const { finishedAt: spun } = await platform.job(id);
    const ends: (string | null)[] = [];
    for (const { id: one } of quick) ends.push((await platform.until(one, 'completed')).finishedAt);
    expect(ends.filter((end) => end! > spun!)).toEqual([]);
    expect(lag).toBeLessThan(FREE_LOOP);
  });

  it('has the whole context, and its reports are on record', async () => {
    const { id } = await compute('report', { attempts: 2 });

    expect((await completed(id)).result).toEqual({
      jobId: id,
      tenant: 'default',
      run: 1,
      attempt: 1,
      attempts: 2,
    });
    expect((await platform.job(id)).progress).toEqual({ percent: 100, step: 'step 100' });
    expect(await platform.logs(id)).toEqual(['first', 'second']);
  });

  it('fails as it would on the main loop, with code, text and stack', async () => {
    const [permanent, plain, verbose, noJson, settlement] = await Promise.all(
      ['permanent', 'plain', 'verbose', 'noJson', 'settlement'].map(failure),
    );

    expect(permanent?.error).toMatchObject({ code: 'NEVER', message: 'never' });
    expect(plain?.error).toMatchObject({ code: 'HANDLER_ERROR', message: 'what is this' });
    expect(plain?.error?.stack).toMatch(/^TypeError: what is this\n.*job-types\.js/s);
    expect(verbose?.error?.code).toBe('LOG_LINE_TOO_LONG');
    expect([noJson?.error?.code, settlement?.error?.code]).toEqual(['RESULT_INVALID', 'RESULT_INVALID']);
  });

  it('is tried again after a failure that may pass', async () => {
    const { id } = await compute('retryable', { attempts: 2 });

    expect((await completed(id)).result).toBe(2);
    expect((await platform.job(id)).attempts[0]?.error?.code).toBe('NOT_YET');
  });

  it('is stopped at its timeout though it never lets go, and the next one gets another thread', async () => {
    const before = await completed((await compute('spin')).id);
    const { id } = await compute('spin', { attempts: 1, timeout: 500 }, 600_000);
    const next = await compute('spin');

    expect((await platform.until(id, 'failed')).error?.code).toBe('TIMEOUT');
    expect((await completed(next.id)).threadId).not.toBe(before.threadId);
  });

  it('keeps its thread where it heeds its signal, even in a loop that asks it', async () => {
    const before = await completed((await compute('spin')).id);
    const heedful = await compute('heedful', { attempts: 1, timeout: 300 });
    const waits = await compute('waits', { attempts: 1, timeout: 300 });

    expect((await platform.until(heedful.id, 'failed')).error?.code).toBe('TIMEOUT');
    expect((await platform.until(waits.id, 'failed')).error?.code).toBe('TIMEOUT');
    expect((await completed((await compute('spin')).id)).threadId).toBe(before.threadId);
  });

  it('is stopped when it is cancelled', async () => {
    const { id } = await compute('spin', {}, 600_000);
    await platform.until(id, 'active');
    await platform.request('POST', `/jobs/${id}/cancel`);

    const next = await compute('spin');

    expect((await platform.job(id)).status).toBe('cancelled');
    await completed(next.id);
  });

  it.each([
    ['exit', 'SANDBOX_EXITED', 'exit code 3', 2],
    ['crash', 'SANDBOX_EXITED', 'nobody catches this', 1],
    ['crashOddly', 'SANDBOX_EXITED', 'null', 1],
    ['memory', 'SANDBOX_OUT_OF_MEMORY', 'memory', 1],
  ])('that takes its thread down (%s) fails its attempt alone', async (work, code, text, times) => {
    const { id } = await compute(work, { attempts: times });
    const next = await compute('spin');

    const { attempts } = await platform.until(id, 'failed');
    expect(attempts.map(({ error }) => error?.code)).toEqual(Array.from({ length: times }, () => code));
    expect(attempts[0]?.error?.message).toContain(text);
    await completed(next.id); // by the same process, the only one
  });

  it('that no thread can run says why, and keeps no other from it', async () => {
    const { id } = await platform.submit('misplaced', {});

    const { error } = await platform.until(id, 'failed');
    expect(error?.code).toBe('SANDBOX_NOT_STARTED');
    expect(error?.message).toContain('Misplaced');
  });

  it('is handed back at shutdown, and does not keep the process', async () => {
    const { id } = await compute('spin', {}, 600_000);
    await platform.until(id, 'active');

    expect(await worker.stop('SIGTERM', 5_000)).toBe(0);
    expect(await platform.job(id)).toMatchObject({ status: 'waiting', attemptsMade: 0 });
  });
});
