import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { aDraft } from '../../../test/support/job-drafts.js';
import { JobHandlers } from '../../job-types/job-handlers.js';
import { SettlementEffect } from '../../job-types/settlement-effect.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { SandboxedHandler } from '../../job-types/sandbox.js';
import { JobType, type JobContext, type JobHandler } from '../../job-types/job-type.js';
import { Drift } from '../delivery/drift.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { PermanentFailure } from '../job.errors.js';
import type { Job, JobDraft } from '../job.js';
import { MAX_ERROR_MESSAGE_LENGTH, MAX_LOG_LINE_LENGTH, MAX_RESULT_LENGTH } from '../limits.js';
import type { AttemptRoom } from '../running/attempt-room.js';
import { AttemptEnd } from '../running/attempt-end.js';
import { FailedElsewhere } from '../running/attempt-outcome.js';
import { ClaimCheck } from '../running/claim-check.js';
import { DeferredClaims } from '../running/deferred-claims.js';
import { QuickTypes } from '../running/quick-types.js';
import { AttemptAborted, RunningJobs } from '../running/running-jobs.js';
import { FIRST_PATIENCE, Solitude } from '../running/solitude.js';
import { quantile } from '../statistics/histogram.js';
import { InMemoryStatisticsRepository } from '../statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../statistics/job-activity.js';
import { WorkerIdentity } from '../worker-identity.js';
import { RunJobUseCase } from './run-job.use-case.js';

const data = z.strictObject({ n: z.number(), unit: z.string().default('ms') });
type Work = (input: z.output<typeof data>, context: JobContext) => unknown;

@JobType({ name: 'task', data, example: { n: 1 } })
class Task implements JobHandler<typeof data> {
  constructor(private readonly work: Work) {}

  async run(input: z.output<typeof data>, context: JobContext): Promise<unknown> {
    return this.work(input, context);
  }
}

const tenant = 'default';

async function setup(
  work: Work = () => null,
  draft: Partial<JobDraft> = {},
  handler: Task | SandboxedHandler = new Task(work),
) {
  const jobs = new InMemoryJobRepository();
  const running = new RunningJobs();
  const worker = new WorkerIdentity([]);
  const types = new JobTypeRegistry([Task]);
  const handlers = new JobHandlers([['task', handler]]);
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  const drift = new Drift(jobs);
  const claims = new ClaimCheck(jobs, running, worker);
  const deferred = new DeferredClaims(jobs, running, worker, claims);
  const end = new AttemptEnd(jobs, running, deferred, worker, activity);
  const quick = new QuickTypes();
  const runJob = new RunJobUseCase(
    jobs,
    types,
    handlers,
    running,
    new Solitude(),
    end,
    claims,
    deferred,
    quick,
    worker,
    drift,
    activity,
  );
  const submit = async (more: Partial<JobDraft> = {}): Promise<Job> => {
    const [job] = await jobs.insert([aDraft({ type: 'task', ...draft, ...more })]);
    return job!;
  };
  const job = await submit();
  const found = async () => (await jobs.find(tenant, job.id))!;
  const attempts = async () => (await jobs.history(tenant, job.id))!.attempts;
  /** Runs the job's current delivery. */
  const run = async (onRan?: () => boolean) =>
    runJob.execute({ jobId: job.id, delivery: (await found()).delivery, onRan });
  /** The same where nobody was given that delivery before, and such jobs are quick. */
  const runFirst = async () => {
    for (let n = 0; n < 10; n++) quick.ran('task', 1);
    return runJob.execute({ jobId: job.id, delivery: (await found()).delivery, firstTaken: true });
  };
  /** What was counted so far. */
  const counted = async () => (await activity.save(), (await statistics.read(tenant, 1)).types);
  return {
    ...{ jobs, running, worker, drift, runJob, claims, deferred, quick, submit, job },
    ...{ found, attempts, run, runFirst, counted },
  };
}

/** A handler that can be watched from outside: it has started, and it goes on when it is told to. */
function gate() {
  let open: () => void = () => undefined;
  let enter: () => void = () => undefined;
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { entered, open, pass: () => (enter(), opened) };
}

const untilAborted: Work = (_data, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
const never: Work = () => new Promise(() => undefined);
const failing: Work = () => Promise.reject(new Error('no route to host'));

/** Longer than any test, and timed out where the test is about time. */
const aLongTime = { ...aDraft().options, timeout: 60_000 };
const aShortTime = { ...aDraft().options, timeout: 20 };

beforeAll(() => {
  Logger.overrideLogger(false);
});

describe('an attempt', () => {
  it('gets the data as its schema reads them, and all that it may need to know', async () => {
    const seen: unknown[] = [];
    const { run, job } = await setup((input, context) => void seen.push(input, context));

    await run();

    expect(seen).toEqual([
      { n: 1, unit: 'ms' },
      expect.objectContaining({ jobId: job.id, tenant, run: 1, attempt: 1, attempts: 3 }),
    ]);
  });

  it('that succeeds completes the job', async () => {
    const { run, found, attempts, running } = await setup(() => ({ sent: true }));

    expect(await run()).toEqual({ kind: 'completed', type: 'task', result: { sent: true } });

    expect(await found()).toMatchObject({ status: 'completed', result: { sent: true }, attemptsMade: 1 });
    expect(await attempts()).toMatchObject([{ number: 1, outcome: 'completed' }]);
    expect(running.size).toBe(0);
  });

  it('that returns nothing has null for its result', async () => {
    const { run } = await setup(() => undefined);

    expect(await run()).toMatchObject({ kind: 'completed', result: null });
  });

  it('that fails is followed by another, after the back-off', async () => {
    let attempt = 0;
    const { run, found, attempts, jobs } = await setup((_data, context) => {
      attempt = context.attempt;
      if (attempt === 1) throw new Error('no route to host');
      return 'ok';
    });

    expect(await run()).toMatchObject({
      kind: 'failed',
      retryIn: 1_000,
      error: { code: 'HANDLER_ERROR', message: 'no route to host', stack: expect.stringContaining('Error') },
    });
    expect(await found()).toMatchObject({ status: 'delayed', error: { message: 'no route to host' } });

    jobs.advance(1_000);
    expect(await run()).toMatchObject({ kind: 'completed', result: 'ok' });
    expect(attempt).toBe(2);
    expect((await attempts()).map(({ outcome }) => outcome)).toEqual(['failed', 'completed']);
  });

  it('that is the last one fails the job', async () => {
    const { run, found, attempts, jobs } = await setup(failing);

    for (let attempt = 1; attempt <= 2; attempt++) {
      expect(await run()).toMatchObject({ kind: 'failed', retryIn: 1_000 });
      jobs.advance(1_000);
    }
    expect(await run()).toMatchObject({ kind: 'failed', retryIn: undefined });

    expect(await found()).toMatchObject({ status: 'failed', attemptsMade: 3 });
    expect(await attempts()).toHaveLength(3);
  });

  it('that fails for good is the last one', async () => {
    const { run, found } = await setup(() => {
      throw new PermanentFailure('no such mailbox', 'MAILBOX_UNKNOWN');
    });

    expect(await run()).toMatchObject({ kind: 'failed', retryIn: undefined });

    expect(await found()).toMatchObject({
      status: 'failed',
      attemptsMade: 1,
      error: { code: 'MAILBOX_UNKNOWN', message: 'no such mailbox' },
    });
  });

  it('may throw whatever it likes: it is recorded as text that can be kept', async () => {
    const { run, jobs, found } = await setup((_data, { attempt }) => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- handlers do
      throw attempt === 1 ? 'plain text' : new Error('a\u0000b\uD800');
    });

    await run();
    expect(await found()).toMatchObject({ error: { code: 'HANDLER_ERROR', message: 'plain text' } });
    jobs.advance(1_000);
    await run();
    expect(await found()).toMatchObject({ error: { message: 'a\uFFFDb\uFFFD' } });
  });

  it('that throws too long a message fails for good, and says so', async () => {
    const { run } = await setup(() => Promise.reject(new Error('x'.repeat(MAX_ERROR_MESSAGE_LENGTH + 1))));

    expect(await run()).toMatchObject({ retryIn: undefined, error: { code: 'ERROR_TOO_LARGE' } });
  });

  it.each([
    ['is no JSON', () => ({ at: new Date() }), 'RESULT_INVALID', 'result.at'],
    ['JSON cannot hold', () => [1n], 'RESULT_INVALID', 'result.0'],
    ['PostgreSQL cannot hold', () => 'a\u0000', 'RESULT_INVALID', 'result'],
    ['is too large', () => 'x'.repeat(MAX_RESULT_LENGTH), 'RESULT_TOO_LARGE', '1048578 characters'],
  ])('with a result that %s fails for good', async (_what, work, code, message) => {
    const { run, found } = await setup(work);

    expect(await run()).toMatchObject({
      kind: 'failed',
      retryIn: undefined,
      error: { code, message: expect.stringContaining(message) },
    });
    expect(await found()).toMatchObject({ status: 'failed', result: null });
  });

  it('never starts on data that no longer fit the schema: the job fails for good', async () => {
    const work = jest.fn();
    const { run, found } = await setup(work, { data: { n: 'one', colour: 'red' } });

    expect(await run()).toMatchObject({ kind: 'failed', retryIn: undefined });

    expect(work).not.toHaveBeenCalled();
    expect(await found()).toMatchObject({ status: 'failed', error: { code: 'DATA_INVALID' } });
    expect((await found()).error?.message).toMatch(/data\.n.*data\.colour/);
  });
});

describe('time', () => {
  it('ends an attempt although its handler ignores the signal', async () => {
    let signal: AbortSignal | undefined;
    const { run, found } = await setup(
      (input, context) => {
        signal = context.signal;
        return never(input, context);
      },
      { options: aShortTime },
    );

    expect(await run()).toMatchObject({ kind: 'failed', retryIn: 1_000, error: { code: 'TIMEOUT' } });

    expect(signal?.reason).toMatchObject({ why: 'timeout' });
    expect(await found()).toMatchObject({ status: 'delayed', attemptsMade: 1 });
  });

  it('that is over is told as such, whatever the handler makes of the signal', async () => {
    const { run } = await setup(untilAborted, { options: aShortTime });

    expect(await run()).toMatchObject({ error: { code: 'TIMEOUT' } });
  });

  it('takes the word from a handler: what it reports or returns afterwards has no effect', async () => {
    const { pass, open } = gate();
    let late: Promise<void> | undefined;
    const { run, found, jobs, job } = await setup(
      (_data, context) => {
        late = pass().then(() => {
          context.log('late');
          context.progress(100);
        });
        return late;
      },
      { options: aShortTime },
    );
    await run();
    const before = await found();

    open();
    await late;
    await sleep(0);

    expect(await found()).toEqual(before);
    expect(await jobs.logs(tenant, job.id, { afterSeq: 0, limit: 10 })).toEqual([]);
  });
});

describe('an attempt in the sandbox', () => {
  const room = (run: AttemptRoom['run']) => ({ run: jest.fn(run), leave: jest.fn() });
  const sandboxed = (enter: (signal: AbortSignal) => Promise<AttemptRoom | undefined>) =>
    new SandboxedHandler('task', { enter: (_type, signal) => enter(signal) });

  it('gets the data as it is on record, and gives its room back', async () => {
    const given = room(async () => ({ sent: true }));
    const { run } = await setup(
      undefined,
      { data: { n: 3 } },
      sandboxed(async () => given),
    );

    expect(await run()).toMatchObject({ kind: 'completed', result: { sent: true } });
    expect(given.run).toHaveBeenCalledWith({ n: 3 }, expect.objectContaining({ attempt: 1 }));
    expect(given.leave).toHaveBeenCalledTimes(1);
  });

  it('has all its time from when there is room', async () => {
    const given = room(() => sleep(30, 'done'));
    const late = sandboxed(() => sleep(150, given));
    const { run } = await setup(undefined, { options: { ...aLongTime, timeout: 100 } }, late);

    expect(await run()).toMatchObject({ kind: 'completed' });
  });

  it('gives its room back at its timeout, though the handler goes on', async () => {
    const given = room(() => new Promise(() => undefined));
    const { run } = await setup(
      undefined,
      { options: aShortTime },
      sandboxed(async () => given),
    );

    expect(await run()).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(given.leave).toHaveBeenCalledTimes(1);
  });

  it('that finds no room before the shutdown is handed back', async () => {
    const waiting = sandboxed(
      (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined))),
    );
    const { run, running, found } = await setup(undefined, {}, waiting);
    const ran = run();
    await sleep(10);
    await running.close(1_000);

    expect(await ran).toEqual({ kind: 'released' });
    expect(await found()).toMatchObject({ status: 'waiting', attemptsMade: 0 });
  });

  it('fails with what it came to in the thread', async () => {
    const outcome = { kind: 'failed', permanent: true, error: { code: 'NEVER', message: 'no' } } as const;
    const given = room(() => Promise.reject(new FailedElsewhere(outcome)));
    const { run, found } = await setup(
      undefined,
      {},
      sandboxed(async () => given),
    );

    await run();
    expect(await found()).toMatchObject({ status: 'failed', error: { code: 'NEVER', message: 'no' } });
  });
});

describe('what an attempt reports', () => {
  it('is on record before its outcome, and shown to whoever watches', async () => {
    const watch = { progress: jest.fn(), log: jest.fn() };
    const { runJob, job, jobs, found } = await setup((_data, { log, progress }) => {
      log('one');
      progress(40, 'half');
      log('two');
    });

    await runJob.execute({ jobId: job.id, delivery: 1, watch });

    expect(await found()).toMatchObject({ status: 'completed', progress: { percent: 40, step: 'half' } });
    const lines = await jobs.logs(tenant, job.id, { afterSeq: 0, limit: 10 });
    expect(lines.map(({ line }) => line)).toEqual(['one', 'two']);
    expect(watch.progress).toHaveBeenCalledWith({ percent: 40, step: 'half' });
    expect(watch.log).toHaveBeenCalledWith(['one', 'two']);
  });

  it('past a bound fails the job for good, even if the handler swallows the refusal', async () => {
    const { run, found } = await setup((_data, { log }) => {
      try {
        log('x'.repeat(MAX_LOG_LINE_LENGTH + 1));
      } catch {
        return 'all is well';
      }
    });

    expect(await run()).toMatchObject({ kind: 'failed', retryIn: undefined });

    expect(await found()).toMatchObject({ status: 'failed', error: { code: 'LOG_LINE_TOO_LONG' } });
  });
});

describe('a delivery', () => {
  it('that the record has done with is counted as a phantom', async () => {
    const { run, runJob, job, jobs, drift } = await setup();
    await run();
    await runJob.execute({ jobId: job.id, delivery: 1 });
    await drift.beforeApplicationShutdown();

    expect(await jobs.drift()).toMatchObject({ phantom: 1 });
  });

  it('of an old number, or of a job that is over, has nothing to do', async () => {
    const work = jest.fn();
    const { runJob, job, run } = await setup(work);
    await run();

    expect(await runJob.execute({ jobId: job.id, delivery: 1 })).toEqual({ kind: 'gone' });
    expect(await runJob.execute({ jobId: job.id, delivery: 2 })).toEqual({ kind: 'gone' });
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('that comes twice runs once', async () => {
    const work = jest.fn();
    const { runJob, job } = await setup(work);

    const outcomes = await Promise.all([1, 2, 3].map(() => runJob.execute({ jobId: job.id, delivery: 1 })));

    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['completed', 'gone', 'gone']);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('from a paused queue is held', async () => {
    const work = jest.fn();
    const { jobs, run, job } = await setup(work);
    await jobs.pause(job.queue);

    expect(await run()).toEqual({ kind: 'held' });

    expect(work).not.toHaveBeenCalled();
  });

  it('of a type that this worker does not know is handed back for a while, not failed', async () => {
    const { jobs, found, attempts, run, job } = await setup(undefined, { type: 'from_the_future' });

    expect(await run()).toEqual({ kind: 'released' });

    expect(await found()).toMatchObject({ status: 'delayed', attemptsMade: 0, delivery: 2 });
    expect(await attempts()).toEqual([]);
    expect(jobs.events(job.id)).toMatchObject([{ kind: 'released' }]);
    jobs.advance(5_000);
    expect(await found()).toMatchObject({ status: 'waiting' });
  });
});

describe('a token that is not current any more', () => {
  it('settles nothing', async () => {
    const { entered, pass, open } = gate();
    const { run, found, jobs, worker } = await setup(() => pass());
    const outcome = run();
    await entered;
    await jobs.releaseAll(worker.id, 'by mistake');
    const before = await found();

    open();

    expect(await outcome).toEqual({ kind: 'refused' });
    expect(await found()).toEqual(before);
  });

  it('settles nothing once another worker has the job', async () => {
    const { entered, pass, open } = gate();
    const { run, found, jobs, worker, job } = await setup(() => pass());
    const outcome = run();
    await entered;
    await jobs.releaseAll(worker.id, 'by mistake');
    const token = 'another';
    await jobs.claim({ jobId: job.id, delivery: 2, token, workerId: 'other' });

    open();

    expect(await outcome).toEqual({ kind: 'refused' });
    expect(await jobs.settle({ jobId: job.id, token, outcome: 'completed', result: 'other' })).toBe(true);
    expect(await found()).toMatchObject({ result: 'other', attemptsMade: 1 });
  });

  it('is asked for again, and settles, where a crash of the database took the claim back', async () => {
    const { entered, pass, open } = gate();
    const { run, found, jobs } = await setup(() => pass());
    const outcome = run();
    await entered;
    jobs.loseClaims();

    open();

    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await found()).toMatchObject({ status: 'completed', delivery: 1, attemptsMade: 1 });
  });

  it('is no reason to doubt a settlement whose answer came late', async () => {
    const { run, found, jobs } = await setup(() => 'ok');
    const settle = jobs.settle.bind(jobs);
    jest.spyOn(jobs, 'settle').mockImplementationOnce(async (settlement) => {
      await settle(settlement);
      return false; // as a repetition sees it that looked before the first one had committed
    });

    expect(await run()).toMatchObject({ kind: 'completed' });
    expect(await found()).toMatchObject({ status: 'completed', attemptsMade: 1 });
  });
});

describe('an outage of the record', () => {
  it('is waited for by a claim', async () => {
    const { runJob, job, jobs, found } = await setup();
    jobs.goDown();
    const outcome = runJob.execute({ jobId: job.id, delivery: 1 });
    await sleep(5);

    jobs.comeBack();

    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await found()).toMatchObject({ status: 'completed' });
  });

  it('is waited for by a settlement, and costs no attempt', async () => {
    const { run, found, attempts, jobs } = await setup(() => jobs.goDown());
    const outcome = run();
    await sleep(5);

    jobs.comeBack();

    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await found()).toMatchObject({ status: 'completed' });
    expect(await attempts()).toHaveLength(1);
  });

  it('is not waited for by a process that closes: the reaper takes over', async () => {
    const { run, found, running, jobs } = await setup(() => {
      jobs.goDown();
      void running.close(10);
    });

    expect(await run()).toEqual({ kind: 'refused' });

    jobs.comeBack();
    expect(await found()).toMatchObject({ status: 'active', attemptsMade: 0 });
  });
});

describe('a shutdown', () => {
  it('hands a job back whose handler stops: no attempt is burned', async () => {
    const { run, found, attempts, running, jobs, job } = await setup(untilAborted, { options: aLongTime });
    const outcome = run();
    await until(() => running.size === 1);

    await running.close(1_000);

    expect(await outcome).toEqual({ kind: 'released' });
    expect(await found()).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 0 });
    expect(await attempts()).toEqual([]);
    expect(jobs.events(job.id)).toEqual([{ kind: 'released', detail: { reason: 'shutdown' } }]);
  });

  it('lets a handler finish that is quick enough', async () => {
    const { entered, pass, open } = gate();
    const { run, found, running } = await setup(() => pass());
    const outcome = run();
    await entered;

    const closed = running.close(1_000);
    open();

    await closed;
    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await found()).toMatchObject({ status: 'completed' });
  });

  it('hands a job back whose handler does not listen, after the grace', async () => {
    const { run, found, running } = await setup(never, { options: aLongTime });
    const outcome = run();
    await until(() => running.size === 1);

    await running.close(10);

    expect(await outcome).toEqual({ kind: 'released' });
    expect(await found()).toMatchObject({ status: 'waiting', attemptsMade: 0 });
  });

  it('hands a delivery back that comes too late, without a start', async () => {
    const work = jest.fn();
    const { run, found, running } = await setup(work);
    await running.close(0);

    expect(await run()).toEqual({ kind: 'released' });

    expect(work).not.toHaveBeenCalled();
    expect(await found()).toMatchObject({ status: 'waiting', attemptsMade: 0 });
  });

  it('finds a job that another may have taken over stopped, and handed back unburned', async () => {
    const { run, found, running } = await setup(untilAborted, { options: aLongTime });
    const outcome = run();
    await until(() => running.size === 1);

    running.abortAll('lease lost');

    expect(await outcome).toEqual({ kind: 'released' });
    expect(await found()).toMatchObject({ status: 'waiting', attemptsMade: 0 });
  });
});

describe('a job that is cancelled while it runs', () => {
  it('is told so by its signal, and leaves no attempt', async () => {
    const reasons: unknown[] = [];
    const work: Work = async (input, context) => {
      context.signal.addEventListener('abort', () => reasons.push(context.signal.reason));
      return untilAborted(input, context);
    };
    const { run, running, jobs, job, claims, found, attempts } = await setup(work, { options: aLongTime });
    const outcome = run();
    await until(() => running.size === 1);

    await jobs.cancel(tenant, job.id);
    await claims.run();

    expect(await outcome).toEqual({ kind: 'cancelled' });
    expect(reasons).toEqual([new AttemptAborted('cancelled')]);
    expect(await found()).toMatchObject({ status: 'cancelled', attemptsMade: 0 });
    expect(await attempts()).toEqual([]);
  });

  it('is not waited for where its handler goes on', async () => {
    const { run, running, jobs, job, claims } = await setup(never, { options: aLongTime });
    const outcome = run();
    await until(() => running.size === 1);

    await jobs.cancel(tenant, job.id);
    await claims.run();

    expect(await outcome).toEqual({ kind: 'cancelled' });
    expect(running.size).toBe(0);
  });

  it('has what it brings too late refused', async () => {
    const { entered, open, pass } = gate();
    const { run, jobs, job, found } = await setup(pass, { options: aLongTime });
    const outcome = run();
    await entered;

    await jobs.cancel(tenant, job.id);
    open();

    expect(await outcome).toEqual({ kind: 'refused' });
    expect(await found()).toMatchObject({ status: 'cancelled', result: null });
  });
});

describe('that the handler has ended', () => {
  it.each([
    ['completes', () => 'ok', 'completed'],
    ['fails', failing, 'failed'],
  ] as [string, Work, string][])(
    'is told once, before the outcome is written, where it %s',
    async (_, work, kind) => {
      const { run, found } = await setup(work);
      const seen: unknown[] = [];

      const outcome = await run(() => (seen.push(found().then(({ status }) => status)), true));

      expect(outcome.kind).toBe(kind);
      expect(await Promise.all(seen)).toEqual(['active']);
    },
  );

  it('is told where its time was over as well', async () => {
    const onRan = jest.fn<boolean, []>(() => true);
    const { run } = await setup(never, { options: aShortTime });

    expect(await run(onRan)).toMatchObject({ kind: 'failed', error: { code: 'TIMEOUT' } });
    expect(onRan).toHaveBeenCalledTimes(1);
  });

  it('is not told where it writes an effect with its outcome, or hands the job back', async () => {
    const onRan = jest.fn<boolean, []>(() => true);
    const effect = await setup(() => new SettlementEffect(() => Promise.resolve('booked')));
    expect(await effect.run(onRan)).toMatchObject({ kind: 'completed' });

    const { run, running } = await setup(untilAborted, { options: aLongTime });
    const outcome = run(onRan);
    await until(() => running.size === 1);
    await running.close(1_000);
    expect(await outcome).toEqual({ kind: 'released' });

    expect(onRan).not.toHaveBeenCalled();
  });
});

describe('what is counted', () => {
  it.each([
    ['its own time', false, 900],
    ['the time until another could take its place', true, 300],
  ])('of a place is %s', async (_, frees, slotMs) => {
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    const { run, jobs, counted } = await setup(() => void clock.mockReturnValue(300));
    const settle = jobs.settle.bind(jobs);
    jest.spyOn(jobs, 'settle').mockImplementation((settlement) => {
      clock.mockReturnValue(900);
      return settle(settlement);
    });

    await run(() => frees);
    clock.mockRestore();

    expect(await counted()).toMatchObject([{ deliveries: 1, slotMs }]);
  });

  it('of an attempt is its outcome, its wait and its time', async () => {
    const { run, jobs, counted } = await setup(failing, { delay: 50 });
    jobs.advance(1_050);

    await run();

    const [task] = await counted();
    expect(task).toMatchObject({ queue: 'default', type: 'task', completed: 0, failed: 0, retried: 1 });
    expect(task!.deliveries).toBe(1);
    expect(quantile(task!.wait, 0.5)).toBeGreaterThan(900);
    expect(quantile(task!.wait, 0.5)).toBeLessThan(1_100);
    expect(task!.run.reduce((sum, n) => sum + n)).toBe(1);
  });

  it('of a claim that is refused is nothing', async () => {
    const { runJob, job, counted } = await setup();
    await runJob.execute({ jobId: job.id, delivery: 2 });

    expect(await counted()).toEqual([]);
  });
});

describe('an effect that commits with the settlement', () => {
  it('gives the job its result', async () => {
    const { run, found } = await setup(() => new SettlementEffect(() => Promise.resolve({ booked: 7 })));

    expect(await run()).toEqual({ kind: 'completed', type: 'task', result: { booked: 7 } });

    expect(await found()).toMatchObject({ status: 'completed', result: { booked: 7 } });
  });

  it('fails the attempt as a throw of the handler does', async () => {
    const { run } = await setup(() => new SettlementEffect(() => Promise.reject(new Error('no funds'))));

    expect(await run()).toMatchObject({
      kind: 'failed',
      retryIn: 1_000,
      error: { code: 'HANDLER_ERROR', message: 'no funds' },
    });
  });

  it('whose value is no result fails the job for good, and is not committed', async () => {
    const { run, found } = await setup(() => new SettlementEffect(() => Promise.resolve({ n: 2 ** 60 })));

    expect(await run()).toMatchObject({ kind: 'failed', error: { code: 'RESULT_INVALID' } });

    expect(await found()).toMatchObject({ status: 'failed', result: null });
  });

  it('is not begun once another worker has the job', async () => {
    const apply = jest.fn(() => Promise.resolve(null));
    const { run, jobs, running } = await setup(async () => {
      await jobs.release(running.all()[0]!.claim, 'lost');
      return new SettlementEffect(apply);
    });

    expect(await run()).toEqual({ kind: 'refused' });
    expect(apply).not.toHaveBeenCalled();
  });

  it('is waited for while the record is away', async () => {
    const { run, jobs, found } = await setup(() => {
      jobs.goDown();
      setTimeout(() => jobs.comeBack(), 20);
      return new SettlementEffect(() => Promise.resolve('late'));
    });

    expect(await run()).toMatchObject({ kind: 'completed', result: 'late' });
    expect(await found()).toMatchObject({ attemptsMade: 1 });
  });
});

describe('what the record cannot take', () => {
  it('fails the job for good, though it passed every check', async () => {
    const { run, found, jobs } = await setup(() => 'a result');
    const settle = jobs.settle.bind(jobs);
    jest.spyOn(jobs, 'settle').mockImplementation((settlement) => {
      return settlement.outcome === 'completed' ? Promise.reject(new TypeError('no')) : settle(settlement);
    });

    expect(await run()).toMatchObject({ kind: 'failed', error: { code: 'OUTCOME_NOT_STORABLE' } });

    expect(await found()).toMatchObject({ status: 'failed', error: { code: 'OUTCOME_NOT_STORABLE' } });
  });
});

describe('a claim', () => {
  it('that is not answered while the process closes is told as such', async () => {
    const { runJob, job, running, jobs } = await setup();
    jobs.goDown();
    const outcome = runJob.execute({ jobId: job.id, delivery: 1 });
    void running.close(0);

    expect(await outcome).toEqual({ kind: 'unanswered' });
  });

  it('stops an attempt whose report shows that another has the job', async () => {
    const { run, jobs, running, found } = await setup(
      (input, context) => {
        context.log('here');
        return untilAborted(input, context);
      },
      { options: aLongTime },
    );
    const outcome = run();
    await until(() => running.size === 1);
    await jobs.release(running.all()[0]!.claim, 'lost');

    expect(await outcome).toEqual({ kind: 'released' });
    expect(await found()).toMatchObject({ status: 'waiting', delivery: 2 });
  });
});

describe('a delivery that nobody had before', () => {
  it('is run and completed with no claim on record', async () => {
    const { runFirst, jobs, found, attempts } = await setup(() => 'sent');
    const settle = jest.spyOn(jobs, 'settle');

    expect(await runFirst()).toMatchObject({ kind: 'completed', result: 'sent' });

    expect(settle.mock.calls[0]?.[0].start).toMatchObject({ delivery: 1 });
    expect(await found()).toMatchObject({ status: 'completed', attemptsMade: 1 });
    expect(await attempts()).toMatchObject([{ number: 1, outcome: 'completed' }]);
  });

  it.each([
    ['no type', []],
    ['another type', ['other']],
  ])('is claimed before it starts where %s is known to be quick', async (_which, others) => {
    const work = gate();
    const { runJob, job, found, quick } = await setup(() => work.pass());
    for (const type of others) for (let n = 0; n < 10; n++) quick.ran(type, 1);
    const run = runJob.execute({ jobId: job.id, delivery: 1, firstTaken: true });
    await work.entered;
    expect(await found()).toMatchObject({ status: 'active' });

    work.open();
    expect(await run).toMatchObject({ kind: 'completed' });
  });

  it('has its claim put on record before it reports, before its effect, and before it is handed back', async () => {
    const reporting = await setup((_data, { log }) => log('a line'));
    await reporting.runFirst();
    const { job, jobs } = reporting;
    expect(await jobs.logs(tenant, job.id, { afterSeq: 0, limit: 10 })).toMatchObject([{ line: 'a line' }]);

    const effect = new SettlementEffect(() => Promise.resolve('written'));
    const effective = await setup(() => effect);
    expect(await effective.runFirst()).toMatchObject({ kind: 'completed', result: 'written' });

    const stopped = await setup(untilAborted, { options: aLongTime });
    const run = stopped.runFirst();
    await turns();
    await stopped.running.close(1_000);
    expect(await run).toEqual({ kind: 'released' });
    expect(await stopped.found()).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 0 });
  });

  it('has its place before its claim, or neither: it is handed back where none comes free', async () => {
    const work = jest.fn(() => 'sent');
    const { runJob, job, found, quick, jobs, running } = await setup(work);
    const claim = jest.spyOn(jobs, 'claim');
    const input = { jobId: job.id, delivery: 1, firstTaken: true, enter: () => Promise.resolve(false) };

    expect(await runJob.execute(input)).toEqual({ kind: 'unanswered' });
    expect(claim).not.toHaveBeenCalled();

    for (let n = 0; n < 10; n++) quick.ran('task', 1);
    expect(await runJob.execute(input)).toEqual({ kind: 'unanswered' });
    expect(await found()).toMatchObject({ status: 'waiting', delivery: 1 });
    expect(work).not.toHaveBeenCalled();
    expect(running.size).toBe(0);

    expect(await runJob.execute({ ...input, enter: () => true })).toMatchObject({ kind: 'completed' });
  });

  it('is not claimed while it waits for its place, however long', async () => {
    const { runJob, job, found, quick, jobs, deferred } = await setup();
    for (let n = 0; n < 10; n++) quick.ran('task', 1);
    const claim = jest.spyOn(jobs, 'claim');
    const enter = async () => {
      await sleep(120);
      await deferred.run();
      return false;
    };

    const input = { jobId: job.id, delivery: 1, firstTaken: true, enter };
    expect(await runJob.execute(input)).toEqual({ kind: 'unanswered' });

    expect(claim).toHaveBeenCalledTimes(1);
    expect(await found()).toMatchObject({ status: 'waiting', delivery: 1 });
  });

  it('is released where it had to be claimed ahead of its place, and none comes free', async () => {
    const { runJob, jobs, job, found, quick } = await setup();
    await jobs.claim({ jobId: job.id, delivery: 1, token: 'crashed', workerId: 'dead' });
    jobs.advance(11_000);
    await jobs.reap(10_000, 3);
    for (let n = 0; n < 10; n++) quick.ran('task', 1);

    const input = { jobId: job.id, delivery: 2, firstTaken: true, enter: () => false };
    expect(await runJob.execute(input)).toEqual({ kind: 'released' });

    expect(await found()).toMatchObject({ status: 'waiting', delivery: 3, attemptsMade: 0 });
  });

  it('shows as active once it takes longer', async () => {
    const work = gate();
    const { runFirst, deferred, running, found } = await setup(() => work.pass());
    const run = runFirst();
    await work.entered;
    expect(await found()).toMatchObject({ status: 'waiting' });

    await deferred.make(running.all()[0]!);
    expect(await found()).toMatchObject({ status: 'active' });

    work.open();
    expect(await run).toMatchObject({ kind: 'completed' });
  });

  it('has its outcome refused where another worker has claimed it meanwhile', async () => {
    const work = gate();
    const { runFirst, jobs, job, found } = await setup(() => work.pass());
    const run = runFirst();
    await work.entered;
    await jobs.claim({ jobId: job.id, delivery: 1, token: 'of another', workerId: 'another' });

    work.open();

    expect(await run).toEqual({ kind: 'refused' });
    expect(await found()).toMatchObject({ status: 'active', attemptsMade: 0 });
  });
});

describe('a suspect', () => {
  /** A job that was in hand when two processes died. */
  async function crashed(work: Work, draft: Partial<JobDraft> = {}) {
    const at = await setup(work, { options: aLongTime, ...draft });
    for (const crash of [1, 2]) {
      await at.jobs.claim({ jobId: at.job.id, delivery: crash, token: `${crash}`, workerId: 'dead' });
      at.jobs.advance(11_000);
      await at.jobs.reap(10_000, 3);
    }
    return at;
  }

  it('does not start where the job was taken from it while it waited', async () => {
    const work = jest.fn();
    const { run, jobs } = await crashed(work);
    jest.spyOn(jobs, 'markAlone').mockResolvedValue(false);

    expect(await run()).toEqual({ kind: 'refused' });
    expect(work).not.toHaveBeenCalled();
  });

  it('is handed back for a while where no moment to run alone comes', async () => {
    const { run, runJob, submit, found, jobs, running, job } = await crashed(
      ({ n }, context) => (n === 1 ? 'ran' : untilAborted({ n, unit: '' }, context)),
      { data: { n: 1 } },
    );
    const other = await submit({ data: { n: 2 } });
    void runJob.execute({ jobId: other.id, delivery: 1 });
    await until(() => running.size === 1);
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    try {
      const outcome = run();
      await jest.advanceTimersByTimeAsync(FIRST_PATIENCE);
      expect(await outcome).toEqual({ kind: 'released' });
    } finally {
      jest.useRealTimers();
    }

    expect(await found()).toMatchObject({ status: 'delayed', attemptsMade: 0 });
    expect(jobs.events(job.id).at(-1)).toEqual({
      kind: 'released',
      detail: { reason: 'no moment to run alone' },
    });
    running.abortAll('shutdown');
  });

  it('is not called alone while a handler goes on that was given up', async () => {
    const { run, runJob, submit, jobs } = await crashed(({ n }, context) => {
      return n === 1 ? 'ran' : never({ n, unit: '' }, context);
    });
    const markAlone = jest.spyOn(jobs, 'markAlone');
    const stray = await submit({ data: { n: 2 }, options: aShortTime });
    await runJob.execute({ jobId: stray.id, delivery: 1 });

    expect(await run()).toMatchObject({ kind: 'completed' });
    expect(markAlone).not.toHaveBeenCalled();
  });

  it('runs alone, and is known to: others wait for it, and it for them', async () => {
    const [ordinary, suspect, late] = [gate(), gate(), gate()];
    const order: string[] = [];
    const { jobs, job, submit, runJob } = await setup(
      ({ n }) => {
        order.push(['suspect', 'ordinary', 'late'][n]!);
        return [suspect, ordinary, late][n]!.pass();
      },
      { data: { n: 0 } },
    );
    for (const crash of [1, 2]) {
      await jobs.claim({ jobId: job.id, delivery: crash, token: `${crash}`, workerId: 'dead' });
      jobs.advance(11_000);
      await jobs.reap(10_000, 3);
    }
    const markAlone = jest.spyOn(jobs, 'markAlone');
    const [first, last] = [await submit({ data: { n: 1 } }), await submit({ data: { n: 2 } })];

    const runs = [runJob.execute({ jobId: first.id, delivery: 1 })];
    await ordinary.entered;
    runs.push(runJob.execute({ jobId: job.id, delivery: 3 }));
    await turns();
    runs.push(runJob.execute({ jobId: last.id, delivery: 1 }));
    await turns();
    expect(order).toEqual(['ordinary']);
    expect(markAlone).not.toHaveBeenCalled();

    ordinary.open();
    await suspect.entered;
    await turns();
    expect(order).toEqual(['ordinary', 'suspect']);
    expect(markAlone).toHaveBeenCalledTimes(1);

    suspect.open();
    late.open();
    expect((await Promise.all(runs)).map(({ kind }) => kind)).toEqual(Array(3).fill('completed'));
    expect(order).toEqual(['ordinary', 'suspect', 'late']);
  });
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 1_000) throw new Error('It did not come to that');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await turns();
}
