import { type Job, WaitingError } from 'bullmq';
import { setImmediate as turn } from 'node:timers/promises';
import type { JobError } from '../jobs/job.js';
import type { RunJobInput, RunJobOutcome, RunJobUseCase } from '../jobs/use-cases/run-job.use-case.js';
import { JobsProcessor } from './jobs.processor.js';
import type { LaneConsumer, RunDelivery } from './lane-consumer.js';
import type { QueueConnection } from './queue-connection.js';

const CONCURRENCY = 2;
const ID = '01990000-0000-7000-8000-000000000001_3';
const delivery = { jobId: '01990000-0000-7000-8000-000000000001', delivery: 3 };
const completed: RunJobOutcome = { kind: 'completed', type: 'demo', result: { answer: 42 } };
const failed = (error: JobError): RunJobOutcome => ({ kind: 'failed', type: 'demo', error });

interface Run {
  input: RunJobInput;
  end: (outcome: RunJobOutcome) => void;
  fail: (error: unknown) => void;
}

function setup(connection: Partial<QueueConnection> = {}) {
  const runs: Run[] = [];
  const runJob = {
    execute: (input: RunJobInput) =>
      new Promise<RunJobOutcome>((end, fail) => {
        runs.push({ input, end, fail });
      }),
  } as RunJobUseCase;
  const processor = new JobsProcessor(runJob, connection as QueueConnection);
  const backend = {
    disconnectBlocking: jest.fn(() => Promise.resolve()),
    reconnectBlocking: jest.fn(() => Promise.resolve()),
  };
  const worker = {
    concurrency: CONCURRENCY,
    isPaused: jest.fn(() => false),
    isRunning: () => false,
    pause: jest.fn(() => Promise.resolve()),
    run: jest.fn(() => Promise.resolve()),
    getBackend: () => backend,
  };
  jest.spyOn(processor, 'worker', 'get').mockReturnValue(worker as unknown as JobsProcessor['worker']);
  return { processor, worker, backend, runs };
}

describe('where BullMQ’s worker calls it for each delivery', () => {
  function setupPlaces() {
    const made = setup({ consumerOf: () => undefined });
    made.processor.start();
    const moveToWait = jest.fn(() => Promise.resolve(0));
    const start = (id = ID) => made.processor.process({ id, moveToWait } as unknown as Job, 'token');
    return { ...made, moveToWait, start };
  }

  it('returns what the dashboard shows as the result', async () => {
    const { runs, start } = setupPlaces();
    const done = start();

    expect(runs[0]!.input).toMatchObject(delivery);
    runs[0]!.end(completed);

    expect(await done).toEqual({ answer: 42 });
  });

  it('shows of an attempt that is not its own what became of it', async () => {
    const { runs, start } = setupPlaces();
    const done = start();

    runs[0]!.end({ kind: 'gone' });

    expect(await done).toEqual({ outcome: 'gone' });
  });

  it('rejects for an attempt that failed, under a name that BullMQ takes for no signal', async () => {
    const { runs, start } = setupPlaces();
    const done = start();

    runs[0]!.end(failed({ code: 'WaitingError', message: 'it broke', stack: 'at line 1' }));

    await expect(done).rejects.toMatchObject({
      name: 'AttemptFailed',
      message: 'WaitingError: it broke',
      stack: 'at line 1',
    });
  });

  it('keeps every place until the outcome is known', async () => {
    const { processor, runs, start } = setupPlaces();
    const left = jest.fn<void, [unknown]>();
    void start().then(left);
    await turn();
    expect(runs[0]!.input.enter).toBeUndefined();
    expect(runs[0]!.input.onRan).toBeUndefined();
    expect(runs[0]!.input.firstTaken).toBeUndefined();
    expect(left).not.toHaveBeenCalled();
    expect(processor.running).toBe(1);

    runs[0]!.end(completed);
    await turn();
    expect(left).toHaveBeenCalledWith({ answer: 42 });
    expect(processor.running).toBe(0);
  });

  it('is silent only while a place is free', async () => {
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    try {
      const { processor, worker, runs, start } = setupPlaces();
      const all = [start(), start()];
      clock.mockReturnValue(5_000);
      expect([processor.running, processor.silentFor()]).toEqual([2, 0]);

      runs[0]!.end(completed);
      await all[0];
      clock.mockReturnValue(6_000);
      expect([processor.running, processor.silentFor()]).toEqual([1, 1_000]);

      worker.isPaused.mockReturnValue(true);
      expect(processor.silentFor()).toBe(0);
    } finally {
      clock.mockRestore();
    }
  });

  it('hands back what comes while it is paused, and what the record did not answer for', async () => {
    const { worker, runs, moveToWait, start } = setupPlaces();
    const unanswered = start();
    runs[0]!.end({ kind: 'unanswered' });
    await expect(unanswered).rejects.toThrow(WaitingError);

    worker.isPaused.mockReturnValue(true);
    await expect(start()).rejects.toThrow(WaitingError);

    expect(moveToWait.mock.calls).toEqual([['token'], ['token']]);
    expect(runs).toHaveLength(1);
  });

  it('fails what this platform did not make', async () => {
    const { runs, start } = setupPlaces();

    await expect(start('stranger')).rejects.toThrow('"stranger" is no delivery of this platform');
    expect(runs).toEqual([]);
  });

  it('has BullMQ’s worker run again after a reconnect', async () => {
    const { processor, worker, backend } = setupPlaces();

    await processor.reconnect();

    expect(backend.disconnectBlocking).toHaveBeenCalledWith(true);
    expect(backend.reconnectBlocking).toHaveBeenCalledTimes(1);
    expect(worker.run).toHaveBeenCalledTimes(1);
  });

  it('pauses BullMQ’s worker, and does not wait for what runs', async () => {
    const { processor, worker, start } = setupPlaces();
    void start();

    await processor.pause();

    expect(worker.pause).toHaveBeenCalledWith(true);
  });
});

describe('where a consumer takes its deliveries', () => {
  function setupConsumer() {
    const consumer = {
      inHand: 7,
      start: jest.fn(),
      stop: jest.fn(),
      silentFor: () => 1_234,
      reconnected: jest.fn(),
    };
    const given: { worker?: unknown; run?: RunDelivery } = {};
    const consumerOf = (worker: unknown, run: RunDelivery) => {
      Object.assign(given, { worker, run });
      return consumer as unknown as LaneConsumer;
    };
    const made = setup({ consumerOf });
    made.processor.start();
    const place = { enter: jest.fn(() => true), leave: jest.fn(() => true) };
    const take = (id = ID, again = false) => given.run!({ id, token: 'token', again }, place);
    return { ...made, consumer, given, place, take };
  }

  it('starts the consumer of its worker, and is as busy and as silent as that is', () => {
    const { processor, worker, consumer, given } = setupConsumer();

    expect(given.worker).toBe(worker);
    expect(consumer.start).toHaveBeenCalledTimes(1);
    expect([processor.running, processor.silentFor()]).toEqual([7, 1_234]);
  });

  it('runs the delivery, which enters its place, and may leave it before it is settled', async () => {
    const { runs, place, take } = setupConsumer();
    const ending = take();
    expect(runs[0]!.input).toMatchObject(delivery);
    expect(place.enter).not.toHaveBeenCalled();

    expect(runs[0]!.input.enter!()).toBe(true);
    expect(place.enter).toHaveBeenCalledTimes(1);
    expect(place.leave).not.toHaveBeenCalled();
    expect(runs[0]!.input.onRan!()).toBe(true);
    expect(place.leave).toHaveBeenCalledTimes(1);

    place.leave.mockReturnValue(false);
    expect(runs[0]!.input.onRan!()).toBe(false);
    runs[0]!.end(completed);
    expect(await ending).toEqual({ value: '{"answer":42}', stack: '' });
  });

  it.each([
    [false, true],
    [true, false],
  ])('says whether it is the first to have it: taken again %s, first %s', (again, firstTaken) => {
    const { runs, take } = setupConsumer();

    void take(ID, again);

    expect(runs[0]!.input.firstTaken).toBe(firstTaken);
  });

  it('ends what another worker has, or nobody may have yet, with what became of it', async () => {
    const { runs, take } = setupConsumer();
    const ending = take();

    runs[0]!.end({ kind: 'held' });

    expect(await ending).toEqual({ value: '{"outcome":"held"}', stack: '' });
  });

  it.each([
    ['HANDLER_ERROR', 'it broke'],
    ['NO_SUCH_MAILBOX', 'NO_SUCH_MAILBOX: it broke'],
  ])('fails the delivery of an attempt that failed: %s', async (code, value) => {
    const { runs, take } = setupConsumer();
    const ending = take();

    runs[0]!.end(failed({ code, message: 'it broke', stack: 'at line 1' }));

    expect(await ending).toEqual({ value, stack: '["at line 1"]' });
  });

  it('hands back what the record did not answer for', async () => {
    const { runs, take } = setupConsumer();
    const ending = take();

    runs[0]!.end({ kind: 'unanswered' });

    expect(await ending).toBe('handed back');
  });

  it.each([new Error('it broke'), 'it broke'])('never rejects: %p', async (thrown) => {
    const { runs, take } = setupConsumer();
    const ending = take();

    runs[0]!.fail(thrown);

    expect(await ending).toMatchObject({ value: 'it broke', stack: expect.stringMatching(/^\[/) });
  });

  it('fails what this platform did not make', async () => {
    const { runs, take } = setupConsumer();

    expect(await take('stranger')).toMatchObject({
      value: '"stranger" is no delivery of this platform',
      stack: expect.stringMatching(/^\[/),
    });
    expect(runs).toEqual([]);
  });

  it('stops the consumer before the pause can keep it waiting', async () => {
    const { processor, worker, consumer } = setupConsumer();
    worker.pause.mockImplementation(() => {
      expect(consumer.stop).toHaveBeenCalledTimes(1);
      return Promise.resolve();
    });

    await processor.pause();

    expect(worker.pause).toHaveBeenCalledWith(true);
  });

  it('tells the consumer of a new connection, and leaves BullMQ’s own loop alone', async () => {
    const { processor, worker, backend, consumer } = setupConsumer();
    backend.disconnectBlocking.mockRejectedValue(new Error('away'));

    await processor.reconnect();

    expect(backend.reconnectBlocking).toHaveBeenCalledTimes(1);
    expect(consumer.reconnected).toHaveBeenCalledTimes(1);
    expect(worker.run).not.toHaveBeenCalled();
  });
});
