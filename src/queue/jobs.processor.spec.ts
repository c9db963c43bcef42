import type { Job } from 'bullmq';
import { setImmediate as turn } from 'node:timers/promises';
import type { RunJobInput, RunJobOutcome, RunJobUseCase } from '../jobs/use-cases/run-job.use-case.js';
import { JobsProcessor } from './jobs.processor.js';
import type { QueueConnection } from './queue-connection.js';

const CONCURRENCY = 2;
const completed: RunJobOutcome = { kind: 'completed', type: 'demo', result: { answer: 42 } };

interface Run {
  input: RunJobInput;
  end: (outcome: RunJobOutcome) => void;
}

function setup() {
  const runs: Run[] = [];
  const runJob = {
    execute: (input: RunJobInput) =>
      new Promise<RunJobOutcome>((end) => {
        runs.push({ input, end });
      }),
  } as RunJobUseCase;
  const processor = new JobsProcessor(runJob, {} as QueueConnection);
  const worker = { concurrency: CONCURRENCY, isPaused: () => false };
  jest.spyOn(processor, 'worker', 'get').mockReturnValue(worker as JobsProcessor['worker']);

  const later = new Map<string, Promise<unknown>>();
  processor.endLater = (job, outcome) => later.set(job.id!, outcome);
  let count = 0;
  const start = () => {
    const id = `01990000-0000-7000-8000-${String(++count).padStart(12, '0')}_1`;
    const left = jest.fn<void, [unknown]>();
    const process = processor.process({ id } as Job, 'token').then(left);
    return { id, left, process };
  };
  return { processor, runs, later, start };
}

it('frees the place of what has run, and ends the delivery with the outcome', async () => {
  const { runs, later, start } = setup();
  const { id, left } = start();
  await turn();
  expect(left).not.toHaveBeenCalled();

  expect(runs[0]!.input.onRan!()).toBe(true);
  await turn();
  expect(left).toHaveBeenCalledWith(null);

  runs[0]!.end(completed);
  expect(await later.get(id)).toEqual({ answer: 42 });
});

it('fails the delivery of an attempt that failed, after its place was freed', async () => {
  const { runs, later, start } = setup();
  const { id } = start();
  runs[0]!.input.onRan!();

  runs[0]!.end({ kind: 'failed', type: 'demo', error: { code: 'HANDLER_ERROR', message: 'it broke' } });

  await expect(later.get(id)).rejects.toMatchObject({ name: 'AttemptFailed', message: 'it broke' });
});

it('keeps the place of what has run while as many as there are places are being settled', async () => {
  const { runs, later, start } = setup();
  const deliveries = [start(), start(), start()];
  expect(runs.map(({ input }) => input.onRan!())).toEqual([true, true, false]);
  await turn();
  expect(deliveries.map(({ left }) => left.mock.calls.length)).toEqual([1, 1, 0]);

  runs[2]!.end(completed);
  await turn();
  expect(deliveries[2]!.left).toHaveBeenCalledWith({ answer: 42 });
  expect(later.has(deliveries[2]!.id)).toBe(false);

  runs[0]!.end(completed);
  await turn();
  const next = start();
  runs[3]!.input.onRan!();
  await turn();
  expect(next.left).toHaveBeenCalledWith(null);
});

it('keeps every place until the outcome is known where the queue cannot be told later', async () => {
  const { processor, runs, start } = setup();
  processor.endLater = undefined;
  const { left } = start();
  runs[0]!.input.onRan!();
  await turn();
  expect(left).not.toHaveBeenCalled();

  runs[0]!.end(completed);
  await turn();
  expect(left).toHaveBeenCalledWith({ answer: 42 });
});

it('has in hand what is being settled, and is silent only while a place is free', async () => {
  const { processor, runs, start } = setup();
  const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
  start();
  start();
  clock.mockReturnValue(5_000);
  expect([processor.running, processor.silentFor()]).toEqual([2, 0]);

  runs[0]!.input.onRan!();
  await turn();
  clock.mockReturnValue(6_000);
  expect([processor.running, processor.silentFor()]).toEqual([2, 1_000]);

  runs[0]!.end(completed);
  await turn();
  expect(processor.running).toBe(1);
  clock.mockRestore();
});
