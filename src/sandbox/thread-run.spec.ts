import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { JobType, type JobContext, type JobHandler } from '../job-types/job-type.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { AttemptAborted } from '../jobs/running/running-jobs.js';
import { ABORT_CAUSES, type FromThread } from './thread-messages.js';
import { ThreadRun } from './thread-run.js';

const data = z.strictObject({ n: z.number().default(7) });
type Work = (input: z.output<typeof data>, context: JobContext) => unknown;

@JobType({ name: 'task', data, example: { n: 1 }, sandboxed: true })
class Task implements JobHandler<typeof data> {
  constructor(private readonly work: Work) {}

  async run(input: z.output<typeof data>, context: JobContext): Promise<unknown> {
    return this.work(input, context);
  }
}

function setup(work: Work, given: Record<string, unknown> = {}) {
  const told: FromThread[] = [];
  const abort = new Int32Array(new SharedArrayBuffer(4));
  const context = { jobId: 'a', tenant: 'default', run: 1, attempt: 1, attempts: 3 };
  const run = new ThreadRun(
    { kind: 'run', run: 5, type: 'task', data: given as never, context, abort },
    (message) => void told.push(message),
  );
  const execute = () =>
    run.execute({
      run: async (type, raw, context) =>
        new Task(work).run(
          new JobTypeRegistry([Task]).get(type).parse(raw) as z.output<typeof data>,
          context,
        ),
    });
  const stop = (cause: (typeof ABORT_CAUSES)[number]) =>
    Atomics.store(abort, 0, ABORT_CAUSES.indexOf(cause) + 1);
  return { run, told, execute, stop };
}

it("gives the handler the schema's output, and tells its result", async () => {
  const { told, execute } = setup(({ n }, { jobId }) => ({ n, jobId }));
  await execute();

  expect(told).toEqual([{ kind: 'done', run: 5, result: { n: 7, jobId: 'a' } }]);
});

it('fails for good where the data does not fit the schema any more', async () => {
  const { told, execute } = setup(() => null, { n: 'seven' });
  await execute();

  expect(told).toMatchObject([
    { kind: 'failed', outcome: { permanent: true, error: { code: 'DATA_INVALID' } } },
  ]);
});

it('tells of a tight loop only now and then, and of its last step for certain', async () => {
  const { told, execute } = setup((_input, { progress }) => {
    for (let step = 0; step <= 10_000; step++) progress(step / 100);
  });
  await execute();

  const percents = told.flatMap((message) => (message.kind === 'progress' ? [message.percent] : []));
  expect([percents[0], percents.at(-1)]).toEqual([0, 100]);
  expect(percents.length).toBeLessThan(100);
  expect(told.at(-1)?.kind).toBe('done');
});

it('tells of progress in time where the handler goes on waiting', async () => {
  const { told, execute } = setup(async (_input, { progress }) => {
    progress(1);
    progress(2);
    await sleep(150);
    expect(told).toMatchObject([{ percent: 1 }, { percent: 2 }]);
  });
  await execute();

  expect(told.at(-1)?.kind).toBe('done');
});

it('answers truly what a loop asks the signal, though no message has been heard', async () => {
  const { told, execute, stop } = setup((_input, { signal }) => {
    expect(signal.aborted).toBe(false);
    stop('timeout');
    expect(signal.aborted).toBe(true);
    expect((signal.reason as AttemptAborted).why).toBe('timeout');
    signal.throwIfAborted();
  });
  await execute();

  expect(told).toMatchObject([
    { kind: 'failed', outcome: { error: { message: expect.stringContaining('timeout') } } },
  ]);
});

it('aborts what waits, and heeds no message of an earlier run', async () => {
  const { run, told, execute, stop } = setup((_input, { signal }) => sleep(10_000, undefined, { signal }));
  const ended = execute();
  stop('cancelled');
  run.abort(4);
  await sleep(20);
  expect(told).toEqual([]);

  run.abort(5);
  await ended;
  expect(told).toMatchObject([{ kind: 'failed', run: 5 }]);
});
