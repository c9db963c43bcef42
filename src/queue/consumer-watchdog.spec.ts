import { Logger } from '@nestjs/common';
import { ConsumerWatchdog } from './consumer-watchdog.js';

const lane = { queue: 'default', shard: 0 };

function setup(silence: number, depth: () => Promise<number>) {
  const consumer = { lane, silentFor: () => silence, reconnect: jest.fn(() => Promise.resolve()) };
  return { consumer, watchdog: new ConsumerWatchdog({ depth }, [consumer]) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('reconnects a consumer that takes nothing while deliveries wait', async () => {
  const { consumer, watchdog } = setup(10_000, () => Promise.resolve(3));

  await watchdog.look();

  expect(consumer.reconnect).toHaveBeenCalledTimes(1);
});

it.each([
  ['has nothing to take', 60_000, () => Promise.resolve(0)],
  ['took something a moment ago, or is busy', 9_999, () => Promise.resolve(3)],
  ['cannot reach the queue', 60_000, () => Promise.reject(new Error('away'))],
])('leaves one alone that %s', async (_what, silence, depth) => {
  const { consumer, watchdog } = setup(silence, depth);

  await watchdog.look();

  expect(consumer.reconnect).not.toHaveBeenCalled();
});

it('looks again and again until it is stopped', async () => {
  jest.useFakeTimers();
  try {
    const { consumer, watchdog } = setup(10_000, () => Promise.resolve(1));
    watchdog.start();
    await jest.advanceTimersByTimeAsync(10_100);
    expect(consumer.reconnect).toHaveBeenCalledTimes(3);

    await watchdog.stop();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(consumer.reconnect).toHaveBeenCalledTimes(3);
  } finally {
    jest.useRealTimers();
  }
});
