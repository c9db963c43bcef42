import { Logger } from '@nestjs/common';
import { EventEmitter } from 'node:events';
import type { AppConfig } from '../config/app-config.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { monotonicNow, type BeatMessage, type HeartbeatThreadData } from './heartbeat-thread.js';
import { ThreadHeartbeat } from './thread-heartbeat.js';

const INTERVAL = 2_000;

/** A thread that is played by hand. */
class FakeThread extends EventEmitter {
  constructor(
    _file: URL,
    readonly options: { workerData: HeartbeatThreadData },
  ) {
    super();
    threads.push(this);
  }

  beat(created = false): void {
    this.say({ kind: 'beat', at: monotonicNow(), created });
  }

  say(message: BeatMessage): void {
    this.emit('message', message);
  }

  die(): void {
    this.emit('error', new Error('out of memory'));
    this.emit('exit', 1);
  }

  postMessage(message: unknown): void {
    if (message === 'stop') this.emit('exit', 0);
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }
}

const threads: FakeThread[] = [];

jest.mock('node:worker_threads', () => ({
  get Worker() {
    return FakeThread;
  },
}));

/** A heart that has begun to beat, with the database's first answer. */
async function setup() {
  threads.length = 0;
  const config = { database: { url: 'postgres://nowhere' } } as AppConfig;
  const heartbeat = new ThreadHeartbeat(config, new WorkerIdentity([]));
  const lost = jest.fn();
  heartbeat.onLost(lost);
  const started = heartbeat.start();
  threads[0]!.beat(true);
  await started;
  /** Lets the latest thread beat for so long, in ms. */
  const beatFor = (ms: number) => {
    for (let passed = 0; passed < ms; passed += INTERVAL) {
      jest.advanceTimersByTime(INTERVAL);
      threads.at(-1)!.beat();
    }
  };
  return { heartbeat, lost, beatFor };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

it('has been steady since its first beat', async () => {
  const { heartbeat, beatFor } = await setup();

  beatFor(10_000);

  expect(heartbeat.steadyFor()).toBe(10_000);
  await heartbeat.stop();
});

it('goes on in another thread where one dies, and is not steady before that one has beaten', async () => {
  const { heartbeat, beatFor } = await setup();
  beatFor(10_000);

  threads[0]!.die();
  expect(heartbeat.steadyFor()).toBe(0);
  jest.advanceTimersByTime(INTERVAL);

  expect(threads).toHaveLength(2);
  expect(threads[1]!.options.workerData).toBe(threads[0]!.options.workerData);
  expect(heartbeat.steadyFor()).toBe(0);
  threads[1]!.beat();
  beatFor(4_000);
  expect(heartbeat.steadyFor()).toBe(4_000);
  await heartbeat.stop();
});

it('goes on as often as a thread dies, also before its first beat', async () => {
  const { heartbeat } = await setup();

  for (let deaths = 0; deaths < 3; deaths++) {
    threads.at(-1)!.die();
    jest.advanceTimersByTime(INTERVAL);
  }

  expect(threads).toHaveLength(4);
  await heartbeat.stop();
});

it('stays still once it is stopped, also where its thread has just died', async () => {
  const { heartbeat } = await setup();
  threads[0]!.die();

  await heartbeat.stop();
  jest.advanceTimersByTime(10 * INTERVAL);

  expect(threads).toHaveLength(1);
});

it('is not steady after a beat that failed, nor after a gap', async () => {
  const { heartbeat, beatFor } = await setup();
  beatFor(10_000);

  threads[0]!.say({ kind: 'missed', reason: 'connection refused' });
  expect(heartbeat.steadyFor()).toBe(0);
  threads[0]!.beat();
  beatFor(4_000);
  expect(heartbeat.steadyFor()).toBe(4_000);

  jest.advanceTimersByTime(3 * INTERVAL);
  expect(heartbeat.steadyFor()).toBe(0);
  threads[0]!.beat();
  expect(heartbeat.steadyFor()).toBe(0);
  await heartbeat.stop();
});

it('tells that the lease was lost when its row had to be made anew', async () => {
  const { heartbeat, lost } = await setup();
  threads[0]!.beat();
  expect(lost).not.toHaveBeenCalled();

  threads[0]!.beat(true);

  expect(lost).toHaveBeenCalledTimes(1);
  await heartbeat.stop();
});

it('shows its thread that the main loop turns', async () => {
  const { heartbeat } = await setup();
  const [lastTurn] = new Float64Array(threads[0]!.options.workerData.lastTurn);

  jest.advanceTimersByTime(INTERVAL);

  const [turn] = new Float64Array(threads[0]!.options.workerData.lastTurn);
  expect(turn! - lastTurn!).toBe(INTERVAL);
  await heartbeat.stop();
});
