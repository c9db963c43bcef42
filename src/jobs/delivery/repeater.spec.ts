import { Repeater } from './repeater.js';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** A task whose runs end when they are told to. */
function setup(interval = 100) {
  const ends: (() => void)[] = [];
  const task = jest.fn(() => new Promise<void>((resolve) => ends.push(resolve)));
  const endRun = async (): Promise<void> => {
    ends.shift()?.();
    await jest.advanceTimersByTimeAsync(0);
  };
  return { task, endRun, repeater: new Repeater(task, interval) };
}

it('runs at once, and again an interval after the end of each run', async () => {
  const { task, endRun, repeater } = setup();
  repeater.start();
  await jest.advanceTimersByTimeAsync(0);
  expect(task).toHaveBeenCalledTimes(1);

  await jest.advanceTimersByTimeAsync(10_000);
  expect(task).toHaveBeenCalledTimes(1);

  await endRun();
  await jest.advanceTimersByTimeAsync(99);
  expect(task).toHaveBeenCalledTimes(1);
  await jest.advanceTimersByTimeAsync(1);
  expect(task).toHaveBeenCalledTimes(2);
});

it('stops only once the run under way has ended, and does not run again', async () => {
  const { task, endRun, repeater } = setup();
  repeater.start();
  await jest.advanceTimersByTimeAsync(0);
  let stopped = false;
  const stop = repeater.stop().then(() => (stopped = true));
  await jest.advanceTimersByTimeAsync(1_000);
  expect(stopped).toBe(false);

  await endRun();
  await stop;
  await jest.advanceTimersByTimeAsync(10_000);

  expect(task).toHaveBeenCalledTimes(1);
  expect(jest.getTimerCount()).toBe(0);
});

it('never runs when it is stopped before its first run, or was never started', async () => {
  const { task, repeater } = setup();
  await repeater.stop();
  repeater.start();
  await repeater.stop();

  await jest.advanceTimersByTimeAsync(1_000);

  expect(task).not.toHaveBeenCalled();
});

it('waits as long as the run asks it to', async () => {
  const task = jest.fn(() => Promise.resolve(20));
  new Repeater(task, 100).start();
  await jest.advanceTimersByTimeAsync(0);

  await jest.advanceTimersByTimeAsync(19);
  expect(task).toHaveBeenCalledTimes(1);
  await jest.advanceTimersByTimeAsync(1);
  expect(task).toHaveBeenCalledTimes(2);
});
