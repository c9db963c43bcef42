import { type ConnectionOptions, type JobState, Queue, Worker, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryBatches, type Taken } from '../../src/queue/delivery-batches.js';
import { addInScripts } from '../../src/queue/delivery-scripts.js';
import { deliveryOf, type Ending, LaneConsumer } from '../../src/queue/lane-consumer.js';
import type { Place } from '../../src/queue/places.js';
import { consumerConnection } from '../../src/queue/redis-clients.js';
import type { DeliveryCard, DeliveryEntry } from '../../src/queue/queue-connection.js';
import { type PrivateRedis, startRedis } from '../support/redis.js';

const NAME = 'default-0';

let redis: PrivateRedis;
let client: Redis;
let queue: Queue<DeliveryCard>;
let close: (() => Promise<void>)[] = [];

beforeAll(async () => {
  redis = await startRedis({ appendonly: true });
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
  client.on('error', () => undefined); // a test kills the server
});

beforeEach(() => {
  queue = new Queue(NAME, { connection: client, prefix: 'test' });
  queue.on('error', () => undefined);
});

afterEach(async () => {
  await Promise.all(close.map((one) => one()));
  close = [];
  await queue.close();
  await client.flushall();
});

afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

/** A delivery in its place. */
interface Run {
  id: string;
  taken: Taken;
  leave: () => boolean;
  end: (ending: Ending) => void;
}

/** What was taken waits for its place as long as that takes, but where a test says otherwise. */
interface Manner {
  patient: boolean;
}

/** A patient one asks again, but where the answer is at once that nobody is let in any more. */
async function entered(place: Place, patient: boolean): Promise<boolean> {
  for (;;) {
    const asked = performance.now();
    if (await place.enter()) return true;
    if (!patient || performance.now() - asked < 20) return false;
  }
}

/** A worker whose runs end when a test says so. */
function makeWorker(options: Partial<WorkerOptions> = {}, name = 'host-1') {
  const worker: Worker = new Worker(NAME, () => Promise.reject<unknown>(new Error('its own loop runs')), {
    prefix: 'test',
    name,
    autorun: false,
    ...options,
    connection: consumerConnection({ url: redis.url }) as ConnectionOptions,
  });
  const errors: Error[] = [];
  worker.on('error', (error) => errors.push(error));
  close.push(() => worker.close(true));
  return { worker, errors };
}

async function setup(options?: Partial<WorkerOptions>) {
  const runs: Run[] = [];
  const takes: Taken[] = [];
  const manner: Manner = { patient: true };
  const { worker, errors } = makeWorker(options);
  const consumer = new LaneConsumer(worker, async (taken, place) => {
    takes.push(taken);
    if (!(await entered(place, manner.patient))) return 'handed back';
    return new Promise((end) => runs.push({ id: taken.id, taken, leave: () => place.leave(), end }));
  });
  close.unshift(() => Promise.resolve(consumer.stop()));
  await worker.waitUntilReady();
  return { worker, errors, consumer, runs, takes, manner };
}

function entry(nth: number, priority = 101): DeliveryEntry {
  const id = `01990000-0000-7000-8000-${String(nth).padStart(12, '0')}_1`;
  return { id, name: 'demo', data: { job: `/jobs/${nth}`, data: null }, priority };
}

const id = (nth: number) => entry(nth).id;
const some = (count: number) => Array.from({ length: count }, (_, nth) => entry(nth));
const push = (entries: DeliveryEntry[]) => addInScripts(client, queue.keys, entries);
const card: DeliveryCard = { job: '', data: null };
const done: Ending = { value: '"done"', stack: '' };
const idsOf = (runs: readonly Pick<Run, 'id'>[]) => runs.map((run) => run.id);
const lockOf = (nth: number) => `${queue.toKey(id(nth))}:lock`;
const completed = () => client.zrange(queue.keys.completed!, 0, -1);
const active = async () => (await client.lrange(queue.keys.active!, 0, -1)).sort();

const countsOf = async (...states: JobState[]) => Object.values(await queue.getJobCounts(...states));

/** Looks until it holds. */
async function eventually(holds: () => unknown, longest = 8_000): Promise<void> {
  for (const deadline = performance.now() + longest; ; await sleep(10)) {
    try {
      return void (await holds());
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}

/** However busy the machine is, no time has passed by the clock. */
async function quickly(happens: () => Promise<void>): Promise<void> {
  const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now());
  try {
    await happens();
  } finally {
    clock.mockRestore();
  }
}

/** Whatever a consumer would do of its own accord, it has done by then; and a handler that took so long is not quick. */
const settle = () => sleep(150);

describe('places', () => {
  it('runs as many at a time as it has places, and the next as one has ended', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await push(some(5));

    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();
    expect(idsOf(runs)).toEqual([id(0), id(1)]);
    expect(await active()).toEqual([id(0), id(1)]);
    expect(consumer.inHand).toBe(2);

    runs[1]!.end(done);
    await eventually(() => expect(runs).toHaveLength(3));
    await settle();
    expect(idsOf(runs)).toEqual([id(0), id(1), id(2)]);
    expect(await completed()).toEqual([id(1)]);
    expect(consumer.inHand).toBe(2);
  });

  it('frees the place of what leaves it at once, for as many as there are places', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await push(some(8));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();

    expect([runs[0]!.leave(), runs[1]!.leave()]).toEqual([true, true]);
    await eventually(() => expect(runs).toHaveLength(4));
    expect([runs[2]!.leave(), runs[3]!.leave()]).toEqual([false, false]);
    await settle();
    expect(runs).toHaveLength(4);
    expect(await active()).toEqual([id(0), id(1), id(2), id(3)]);
    expect(await completed()).toEqual([]);
    expect(consumer.inHand).toBe(4);

    runs[0]!.end(done);
    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    await settle();
    expect(runs).toHaveLength(4);

    expect(runs[2]!.leave()).toBe(true);
    await eventually(() => expect(runs).toHaveLength(5));
    expect(runs[3]!.leave()).toBe(false);
    runs[3]!.end(done);
    await eventually(() => expect(runs).toHaveLength(6));
    for (const run of runs) run.end(done);
    await eventually(() => expect(runs).toHaveLength(8));
    expect(new Set(idsOf(runs)).size).toBe(8);
  });

  it('frees no second place for what leaves twice', async () => {
    const { consumer, runs } = await setup({ concurrency: 1 });
    await push(some(4));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await settle();

    expect([runs[0]!.leave(), runs[0]!.leave()]).toEqual([true, false]);
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();
    expect(runs).toHaveLength(2);

    runs[0]!.end(done);
    await settle();
    expect(runs).toHaveLength(2);
  });

  it('ends and takes in one script what one turn brings', async () => {
    const { consumer, runs } = await setup({ concurrency: 3 });
    await push(some(9));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(3));
    await settle();
    await client.config('RESETSTAT');

    for (const run of runs.slice(0, 3)) run.end(done);

    await eventually(() => expect(runs).toHaveLength(6));
    await settle();
    expect(await client.info('commandstats')).toMatch(/cmdstat_evalsha:calls=1,/);
    expect(await completed()).toHaveLength(3);
  });

  it('takes each once, and ends each, when there are more than a script bears', async () => {
    const { worker, errors } = makeWorker({ concurrency: 600 });
    const times = new Map<string, number>();
    const consumer = new LaneConsumer(worker, async (taken, place) => {
      const nth = times.size;
      times.set(taken.id, (times.get(taken.id) ?? 0) + 1);
      await entered(place, true);
      await sleep(nth % 7);
      if (nth % 3) place.leave();
      await sleep(nth % 11);
      return nth % 2 ? done : { value: 'it broke', stack: '[]' };
    });
    close.unshift(() => Promise.resolve(consumer.stop()));
    await push(some(1_900));

    consumer.start();

    await eventually(async () => expect(await countsOf('completed', 'failed')).toEqual([950, 950]));
    expect(await countsOf('prioritized', 'active')).toEqual([0, 0]);
    expect(times.size).toBe(1_900);
    expect(Math.max(...times.values())).toBe(1);
    expect(await client.keys('test:*:lock')).toEqual([]);
    expect(consumer.inHand).toBe(0);
    expect(errors).toEqual([]);
  });

  it('runs no more at a time than it has places, however quick its handlers are', async () => {
    const { worker } = makeWorker({ concurrency: 3 });
    let [taken, inside, most] = [0, 0, 0];
    const consumer = new LaneConsumer(worker, async (_taken, place) => {
      const nth = taken++;
      await sleep(nth % 3);
      await entered(place, true);
      most = Math.max(most, ++inside);
      await sleep(nth % 4);
      inside--;
      place.leave();
      await sleep(nth % 5);
      return done;
    });
    close.unshift(() => Promise.resolve(consumer.stop()));
    await push(some(600));

    consumer.start();

    await eventually(async () => expect(await countsOf('completed')).toEqual([600]));
    expect(most).toBe(3);
  });

  it('is silent only while a place is free', async () => {
    const { consumer, runs } = await setup({ concurrency: 1 });
    expect(consumer.silentFor()).toBe(0);
    consumer.start();
    await sleep(100);
    expect(consumer.silentFor()).toBeGreaterThanOrEqual(90);
    consumer.reconnected();
    expect(consumer.silentFor()).toBeLessThan(90);

    await push(some(1));
    await eventually(() => expect(runs).toHaveLength(1));
    await sleep(100);
    expect(consumer.silentFor()).toBe(0);

    runs[0]!.leave();
    expect(consumer.silentFor()).toBeLessThan(90);
    await sleep(100);
    expect(consumer.silentFor()).toBeGreaterThanOrEqual(90);

    consumer.stop();
    expect(consumer.silentFor()).toBe(0);
  });
});

it('is not silent while what it took waits for the record', async () => {
  const { worker } = makeWorker({ concurrency: 1 });
  const consumer = new LaneConsumer(worker, () => new Promise<Ending>(() => undefined));
  close.unshift(() => Promise.resolve(consumer.stop()));
  await push(some(1));

  consumer.start();

  await eventually(async () => expect(await countsOf('active')).toEqual([1]));
  await sleep(50);
  expect(consumer.silentFor()).toBe(0);
});

describe('ahead of their places, where handlers are quick', () => {
  /** Its first handler has ended at once; those that follow it do not. */
  async function quick(options: Partial<WorkerOptions>) {
    const made = await setup(options);
    const { consumer, runs } = made;
    await push([entry(0)]);
    consumer.start();
    await quickly(async () => {
      await eventually(() => expect(runs).toHaveLength(1));
      runs[0]!.leave();
      runs[0]!.end(done);
    });
    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    return made;
  }

  it('takes some times as many as there are places, and runs none of them before a place is free', async () => {
    const { consumer, runs, takes } = await quick({ concurrency: 2 });
    await push(some(12).slice(1));
    await eventually(() => expect(takes.length).toBeGreaterThan(4));
    await settle();
    const inHand = takes.slice(1).map(({ id }) => id);
    expect(inHand.length).toBeLessThanOrEqual(8);
    expect(idsOf(runs)).toEqual([id(0), id(1), id(2)]);
    expect(consumer.inHand).toBe(inHand.length);
    expect(await active()).toEqual(inHand);

    runs[1]!.leave();
    await eventually(() => expect(idsOf(runs)).toEqual([id(0), id(1), id(2), id(3)]));
    await settle();
    expect(runs).toHaveLength(4);

    for (let nth = 1; nth < 12; nth++) {
      await eventually(() => expect(runs.length).toBeGreaterThan(nth));
      runs[nth]!.end(done);
    }
    await eventually(async () => expect(await completed()).toHaveLength(12));
    expect(new Set(idsOf(runs)).size).toBe(12);
  });

  it('hands back what found no place in time, and takes nothing ahead then', async () => {
    const { runs, takes, manner, errors } = await quick({ concurrency: 1 });
    manner.patient = false;
    await push(some(4).slice(1));
    await eventually(() => expect(takes.length).toBeGreaterThanOrEqual(3));

    await eventually(async () => expect(await client.hget(queue.toKey(id(2)), 'ats')).toBe('1'));
    await eventually(async () =>
      expect(await client.zrange(queue.keys.prioritized!, 0, -1)).toEqual([id(2), id(3)]),
    );
    const before = takes.length;
    await settle();
    expect(await active()).toEqual([id(1)]);
    expect(takes).toHaveLength(before);

    const other = await setup();
    other.consumer.start();
    await eventually(() => expect(other.runs[0]?.taken).toMatchObject({ id: id(2), again: true }));
    expect(runs).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  it('keeps the lock of what waits for its place', async () => {
    const { takes } = await quick({ concurrency: 1, lockDuration: 400, stalledInterval: 150 });
    await push(some(3).slice(1));
    await eventually(() => expect(takes).toHaveLength(3));

    await sleep(1_200);

    expect(await client.get(lockOf(2))).toBe(takes[2]!.token);
    expect(await active()).toEqual([id(1), id(2)]);
  });
});

describe('what becomes of a delivery', () => {
  it('shows its progress, its lines and its end', async () => {
    const { worker, consumer, runs } = await setup({ concurrency: 2 });
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await deliveryOf(worker, runs[0]!).updateProgress({ percent: 50 });
    await deliveryOf(worker, runs[0]!).log('half');

    runs[0]!.end({ value: '{"answer":42}', stack: '' });
    runs[1]!.end({ value: 'it broke', stack: '["at line 1"]' });

    await eventually(async () => expect(await active()).toEqual([]));
    const [ended, failed] = await Promise.all([queue.getJob(id(0)), queue.getJob(id(1))]);
    expect(ended).toMatchObject({ name: 'demo', progress: { percent: 50 }, returnvalue: { answer: 42 } });
    expect(await queue.getJobLogs(id(0))).toEqual({ logs: ['half'], count: 1 });
    expect(failed).toMatchObject({ failedReason: 'it broke', stacktrace: ['at line 1'] });
    expect([await ended?.getState(), await failed?.getState()]).toEqual(['completed', 'failed']);
  });

  it('gives what is handed back to the next, who is told that it was taken before', async () => {
    const { consumer, runs, errors } = await setup();
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    expect(runs[0]!.taken.again).toBe(false);

    runs[0]!.end('handed back');

    await eventually(() => expect(runs).toHaveLength(2));
    runs[1]!.end(done);
    await eventually(() => expect(runs).toHaveLength(3));
    runs[2]!.end(done);
    await eventually(async () => expect((await completed()).sort()).toEqual([id(0), id(1)]));
    const again = Object.fromEntries(runs.slice(1).map(({ taken }) => [taken.id, taken.again]));
    expect(again).toEqual({ [id(0)]: true, [id(1)]: false });
    expect(errors).toEqual([]);
  });

  it('fails what this platform did not make as BullMQ does: its parent is told', async () => {
    await queue.add('parent', card, { jobId: 'parent' });
    const { worker: by } = makeWorker({}, 'host-2');
    const parent = await by.getNextJob('by hand', { block: false });
    await queue.add('child', card, {
      jobId: 'child',
      parent: { id: 'parent', queue: queue.qualifiedName },
      continueParentOnFailure: true,
    });
    await parent.moveToWaitingChildren('by hand');
    const { consumer, runs, errors } = await setup();
    consumer.start();
    await eventually(() => expect(idsOf(runs)).toEqual(['child']));

    runs[0]!.end({ value: 'a stranger', stack: '[]' });

    // Its failure lets the parent go on, which then comes to the consumer itself.
    await eventually(() => expect(idsOf(runs)).toEqual(['child', 'parent']));
    expect(await queue.getJobState('child')).toBe('failed');
    expect(await queue.getJob('child')).toMatchObject({ failedReason: 'a stranger' });
    expect(await client.hgetall('test:default-0:parent:failed')).toEqual({
      'test:default-0:child': 'a stranger',
    });
    expect(errors).toEqual([]);
  });
});

describe('locks', () => {
  it('keeps the lock of what is in hand, and gives it up with the end', async () => {
    const { consumer, runs, errors } = await setup({ concurrency: 2, lockDuration: 400 });
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    runs[1]!.leave();

    await sleep(1_200);
    expect(await client.get(lockOf(0))).toBe(runs[0]!.taken.token);
    expect(await client.get(lockOf(1))).toBe(runs[1]!.taken.token);

    runs[0]!.end(done);
    runs[1]!.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(2));
    await sleep(300);
    expect(await client.exists(lockOf(0), lockOf(1))).toBe(0);
    expect(errors).toEqual([]);
  });

  it('holds on to what is in hand while stalled deliveries are looked for', async () => {
    const { consumer, runs } = await setup({ lockDuration: 400, stalledInterval: 150 });
    await push(some(1));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));

    await sleep(1_200);

    expect(await active()).toEqual([id(0)]);
    expect(await client.hget(queue.toKey(id(0)), 'stc')).toBeNull();
  });

  it('is given what a dead worker had, and told that it was taken before', async () => {
    const dead = new DeliveryBatches(makeWorker({ lockDuration: 200 }, 'host-2').worker);
    await push(some(3));
    expect((await dead.endAndTake([], 2)).taken).toHaveLength(2);
    const { consumer, runs } = await setup({ concurrency: 5, stalledInterval: 150 });

    consumer.start();

    await eventually(() => expect(runs).toHaveLength(3));
    const again = Object.fromEntries(runs.map(({ taken }) => [taken.id, taken.again]));
    expect(again).toEqual({ [id(0)]: true, [id(1)]: true, [id(2)]: false });
    for (const run of runs) run.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(3));
  });

  it('says nothing of a lock that was lost before the end came, and ends the others', async () => {
    const { consumer, runs, errors } = await setup({ concurrency: 2 });
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await client.set(lockOf(0), 'of another');

    for (const run of runs) run.end(done);

    await eventually(async () => expect(await completed()).toEqual([id(1)]));
    await settle();
    expect(await active()).toEqual([id(0)]);
    expect(await client.get(lockOf(0))).toBe('of another');
    expect(errors).toEqual([]);
  });

  it('tells of a delivery that it could not hand back', async () => {
    const { consumer, runs, errors } = await setup();
    await push(some(1));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await client.del(lockOf(0));

    runs[0]!.end('handed back');

    await eventually(() => expect(errors).toMatchObject([{ message: /Missing lock/, code: -2 }]));
    expect(consumer.inHand).toBe(0);
  });
});

describe('stopping', () => {
  it('takes no more, and still ends what runs', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await push(some(4));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));

    consumer.stop();
    runs[0]!.end(done);
    runs[1]!.leave();

    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    await settle();
    expect(consumer.inHand).toBe(1);
    runs[1]!.end(done);
    await eventually(async () => expect((await completed()).sort()).toEqual([id(0), id(1)]));
    expect(runs).toHaveLength(2);
    expect(await client.zcard(queue.keys.prioritized!)).toBe(2);
    expect(consumer.inHand).toBe(0);
  });

  it('hands back what is on its way, and the next takes it first', async () => {
    const { consumer, runs, errors } = await setup({ concurrency: 2 });
    await push(some(5));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();

    redis.pause();
    runs[0]!.end(done);
    await sleep(50);
    consumer.stop();
    redis.resume();

    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    await eventually(async () =>
      expect(await client.zrange(queue.keys.prioritized!, 0, -1)).toEqual([id(2), id(3), id(4)]),
    );
    expect(await client.hget(queue.toKey(id(2)), 'ats')).toBe('1');
    expect(await client.exists(lockOf(2))).toBe(0);
    expect(await active()).toEqual([id(1)]);
    expect(idsOf(runs)).toEqual([id(0), id(1)]);

    runs[1]!.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(2));
    const next = await setup();
    next.consumer.start();
    await eventually(() => expect(next.runs[0]?.taken).toMatchObject({ id: id(2), again: true }));
    expect(errors).toEqual([]);
  });

  it('takes again once it is started again', async () => {
    const { consumer, runs } = await setup();
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    consumer.stop();
    runs[0]!.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(1));

    consumer.start();

    await eventually(() => expect(runs).toHaveLength(2));
  });
});

describe('waiting for the queue', () => {
  it('wakes at once for a push while it is idle', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    consumer.start();
    await sleep(300);

    for (let nth = 0; nth < 5; nth++) {
      await push([entry(nth)]);
      await eventually(() => expect(runs).toHaveLength(nth + 1), 1_000);
      runs[nth]!.end(done);
      await sleep(nth * 20);
    }

    await eventually(async () => expect(await completed()).toHaveLength(5), 1_000);
  });

  it('wakes for a push while other places are busy', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await push([entry(0)]);
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await sleep(300);

    await push([entry(1)]);

    await eventually(() => expect(runs).toHaveLength(2), 1_000);
  });

  it('asks an empty queue no more than now and then', async () => {
    const { consumer } = await setup({ concurrency: 50 });
    consumer.start();
    await settle();
    await client.config('RESETSTAT');

    await sleep(1_500);

    expect(await client.info('commandstats')).not.toMatch(/cmdstat_evalsha/);
  });

  it('leaves to others what it has no place for', async () => {
    const [one, other] = [await setup(), await setup()];
    one.consumer.start();
    other.consumer.start();
    await sleep(200);

    await push(some(2));

    await eventually(() => expect([one.runs.length, other.runs.length]).toEqual([1, 1]), 1_000);
  });
});

describe('a queue of which BullMQ’s own script must judge', () => {
  it('takes nothing while it is paused, and goes on at once after that', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await queue.pause();
    await push(some(3));
    consumer.start();
    await sleep(300);
    expect(runs).toEqual([]);

    await queue.resume();

    await eventually(() => expect(runs).toHaveLength(2), 1_000);
    runs[0]!.end(done);
    await eventually(() => expect(runs).toHaveLength(3), 1_000);
  });

  it('runs no more at a time than the queue allows', async () => {
    const { consumer, runs } = await setup({ concurrency: 3 });
    await queue.setGlobalConcurrency(1);
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await settle();
    expect(runs).toHaveLength(1);
    expect(await client.get(lockOf(0))).toBe(runs[0]!.taken.token);

    runs[0]!.end(done);

    await eventually(async () => expect(await completed()).toEqual([id(0)]), 1_000);
    await eventually(() => expect(runs).toHaveLength(2));
  });

  it('starts no more in a time than the queue allows', async () => {
    const { consumer, runs } = await setup({ concurrency: 3 });
    await queue.setGlobalRateLimit(1, 1_000);
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await settle();
    expect(runs).toHaveLength(1);

    await eventually(() => expect(runs).toHaveLength(2));
  });

  it('takes what is there while there are delayed ones, and each of those in its time', async () => {
    const { consumer, runs } = await setup({ concurrency: 5 });
    await push(some(2));
    await queue.add('late', card, { jobId: id(9), delay: 1_000, attempts: 1 });
    consumer.start();
    await eventually(() => expect(idsOf(runs)).toEqual([id(0), id(1)]), 900);
    for (const run of runs) run.end(done);

    await eventually(() => expect(idsOf(runs)).toEqual([id(0), id(1), id(9)]));
    runs[2]!.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(3));
  });

  it('asks a queue that is held no more than now and then', async () => {
    const { consumer, runs } = await setup({ concurrency: 5 });
    await queue.add('late', card, { jobId: 'late_1', delay: 60_000 });
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();
    await client.config('RESETSTAT');

    await sleep(1_500);

    expect(await client.info('commandstats')).not.toMatch(/cmdstat_evalsha/);
  });
});

describe('faults', () => {
  it.each([
    ['before it does anything', 'active'],
    ['after it has ended what there was to end', 'prioritized'],
  ])('loses no end to a script that fails %s', async (_when, key) => {
    const { consumer, runs, errors } = await setup({ concurrency: 2, lockDuration: 800 });
    await push(some(4));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();
    await client.rename(queue.keys[key]!, 'test:aside');
    await client.set(queue.keys[key]!, 'neither list nor set');

    runs[0]!.end(done);
    await eventually(() => expect(errors).not.toEqual([]));
    expect(errors[0]!.message).toMatch(/WRONGTYPE/);
    expect(runs).toHaveLength(2);
    await sleep(1_200);
    await client.rename('test:aside', queue.keys[key]!);

    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    await eventually(() => expect(idsOf(runs)).toEqual([id(0), id(1), id(2)]));
    expect(await active()).toEqual([id(1), id(2)]);
    expect(await client.exists(lockOf(0))).toBe(0);
  });

  it('ends what has run while the server was away, and goes on', async () => {
    const { consumer, runs } = await setup({ concurrency: 2 });
    await push(some(4));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(2));
    await settle();

    await redis.kill();
    runs[0]!.end(done);
    await sleep(300);
    await redis.start();

    await eventually(async () => expect(await completed()).toEqual([id(0)]));
    await eventually(() => expect(idsOf(runs)).toEqual([id(0), id(1), id(2)]));
    for (const run of runs) run.end(done);
    await eventually(() => expect(runs).toHaveLength(4));
    runs[3]!.end(done);
    await eventually(async () => expect(await completed()).toHaveLength(4));
  });

  it('hears of a push after the server was away while it waited', async () => {
    const { consumer, runs } = await setup();
    consumer.start();
    await sleep(200);
    await redis.kill();
    await redis.start();

    await push(some(1));

    await eventually(() => expect(runs).toHaveLength(1));
  });
});

describe('a queue of which BullMQ’s own script judges', () => {
  it('tells what is taken for the first time', async () => {
    const { consumer, runs } = await setup();
    await queue.setGlobalConcurrency(10);
    await push(some(1));

    consumer.start();

    await eventually(() => expect(runs[0]?.taken).toMatchObject({ again: false }), 1_000);
  });

  it('gives the next at once where it allows one at a time', async () => {
    const { consumer, runs } = await setup({ concurrency: 3 });
    await queue.setGlobalConcurrency(1);
    await push(some(2));
    consumer.start();
    await eventually(() => expect(runs).toHaveLength(1));
    await settle();

    runs[0]!.end(done);

    await eventually(() => expect(runs).toHaveLength(2), 1_000);
  });
});

it('starts nothing that waited for its place once it is stopped', async () => {
  const { consumer, runs, takes } = await setup({ concurrency: 1 });
  await push(some(3));
  consumer.start();
  await quickly(async () => {
    await eventually(() => expect(runs).toHaveLength(1));
    runs[0]!.leave();
    runs[0]!.end(done);
  });
  await eventually(() => expect(takes).toHaveLength(3));
  await settle();

  consumer.stop();
  runs[1]!.end(done);
  await sleep(300);

  expect(idsOf(runs)).toEqual([id(0), id(1)]);
});

it('asks no more once its worker is closed', async () => {
  const { worker, consumer } = await setup({ concurrency: 2 });
  const ask = jest.spyOn(DeliveryBatches.prototype, 'endAndTake');
  consumer.start();
  await sleep(200);
  await worker.close(true);
  await sleep(100);
  ask.mockClear();

  await sleep(300);

  expect(ask.mock.calls.length).toBeLessThan(3);
  consumer.stop();
  ask.mockRestore();
});
