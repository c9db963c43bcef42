import type { Claim } from '../job-repository.js';
import { AttemptAborted, RunningJobs } from './running-jobs.js';

const claim = (token: string): Claim => ({
  ...{ jobId: 'job', delivery: 1, token, tenant: 'default', type: 'demo', queue: 'default', data: null },
  ...{
    run: 1,
    attempt: 1,
    attempts: 3,
    backoff: { kind: 'fixed', delay: 0 },
    timeout: 1_000,
    crashes: 0,
    waited: 0,
  },
});

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** A delivery that is under way until it is told to end. `order` tells what happened to it. */
function setup() {
  const running = new RunningJobs();
  const order: string[] = [];
  const deliver = (token: string) => {
    let end: () => void = () => undefined;
    const delivered = running.during(async () => {
      const job = running.start(claim(token));
      job.signal.addEventListener('abort', () => order.push(`${token} aborted`));
      job.onAbandoned(() => order.push(`${token} abandoned`));
      await new Promise<void>((resolve) => (end = resolve));
      running.end(job);
      order.push(`${token} ended`);
    });
    return { delivered, end: () => end() };
  };
  const close = (grace: number) => running.close(grace).then(() => order.push('closed'));
  return { running, order, deliver, close };
}

it('knows the tokens that it holds, and no others', () => {
  const { running } = setup();
  const job = running.start(claim('a'));
  expect([running.holds(claim('a')), running.holds(claim('b')), running.size]).toEqual([true, false, 1]);

  running.end(job);
  expect([running.holds(claim('a')), running.size]).toEqual([false, 0]);
});

it('tells every attempt why it has to stop', () => {
  const { running } = setup();
  const jobs = ['a', 'b'].map((token) => running.start(claim(token)));

  running.abortAll('lease lost');

  for (const job of jobs) {
    expect(job.signal.reason).toEqual(new AttemptAborted('lease lost'));
    expect([job.wasStoppedBy('lease lost'), job.wasStoppedBy('shutdown')]).toEqual([true, false]);
  }
});

it('keeps to the first reason', () => {
  const { running } = setup();
  const job = running.start(claim('a'));

  job.abort('shutdown');
  job.abort('timeout');

  expect([job.wasStoppedBy('shutdown'), job.wasStoppedBy('timeout')]).toEqual([true, false]);
});

describe('closing', () => {
  it('is done at once when nothing runs', async () => {
    const { running, order, close } = setup();

    await close(60_000);

    expect(order).toEqual(['closed']);
    expect(running.closing).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('asks first, and closes as soon as the last one has ended', async () => {
    const { order, deliver, close } = setup();
    const [a, b] = [deliver('a'), deliver('b')];
    const closed = close(60_000);
    expect(order).toEqual(['a aborted', 'b aborted']);

    a.end();
    await jest.advanceTimersByTimeAsync(0);
    b.end();
    await closed;

    expect(order).toEqual(['a aborted', 'b aborted', 'a ended', 'b ended', 'closed']);
  });

  it('abandons what does not listen, only after the grace, and then waits a second for its release', async () => {
    const { order, deliver, close } = setup();
    const { end } = deliver('deaf');
    const closed = close(5_000);

    await jest.advanceTimersByTimeAsync(4_999);
    expect(order).toEqual(['deaf aborted']);
    await jest.advanceTimersByTimeAsync(1);
    expect(order).toEqual(['deaf aborted', 'deaf abandoned']);
    await jest.advanceTimersByTimeAsync(500);
    end();
    await closed;

    expect(order).toEqual(['deaf aborted', 'deaf abandoned', 'deaf ended', 'closed']);
  });

  it('waits for nothing beyond that', async () => {
    const { order, deliver, close } = setup();
    deliver('stuck');
    const closed = close(5_000);

    await jest.advanceTimersByTimeAsync(6_000);
    await closed;

    expect(order.at(-1)).toBe('closed');
  });

  it('stops an attempt at once that was claimed too late', async () => {
    const { running, close } = setup();
    await close(0);

    expect(running.start(claim('late')).wasStoppedBy('shutdown')).toBe(true);
  });

  it('waits for a delivery that is not an attempt yet', async () => {
    const { running, order, close } = setup();
    let claimed: () => void = () => undefined;
    void running.during(() => new Promise<void>((resolve) => (claimed = resolve)));
    const closed = close(5_000);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(order).toEqual([]);

    claimed();
    await closed;
  });
});
