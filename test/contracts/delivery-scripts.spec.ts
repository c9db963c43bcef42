import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { consumeInBatches, type EndLater } from '../../src/queue/batched-consumer.js';
import { addInScripts } from '../../src/queue/delivery-scripts.js';
import { type DeliveryCard, type DeliveryEntry, QueueConnection } from '../../src/queue/queue-connection.js';
import { type PrivateRedis, startRedis } from '../support/redis.js';

const NAME = 'default-0';

let redis: PrivateRedis;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: null });
});

afterEach(async () => {
  await Promise.all([theirs.close(), ours.close()]);
  await client.flushall();
});

afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

/** A queue and a worker played by hand: BullMQ's own, or with this platform's scripts. */
class Side {
  readonly queue: Queue<DeliveryCard>;
  readonly worker: Worker;
  readonly endLater: EndLater = () => undefined;
  private tokens = 0;

  constructor(
    private readonly prefix: string,
    private readonly batched: boolean,
    lockDuration = 20_000,
  ) {
    this.queue = new Queue(NAME, { connection: client, prefix });
    this.worker = new Worker(NAME, null, {
      connection: client,
      prefix,
      name: 'host-1',
      lockDuration,
      removeOnComplete: { count: 1_000 },
      removeOnFail: { count: 1_000 },
    });
    if (batched) this.endLater = consumeInBatches(this.worker);
  }

  add(entries: DeliveryEntry[]): Promise<void> {
    if (this.batched) return addInScripts(client, this.queue.keys, entries);
    return QueueConnection.prototype.add.call(undefined, this.queue, entries);
  }

  take(): Promise<Job | undefined> {
    return this.worker.getNextJob(`token-${++this.tokens}`, { block: false });
  }

  async takeSome(count: number): Promise<Job[]> {
    const jobs: Job[] = [];
    while (jobs.length < count) jobs.push((await this.take())!);
    return jobs;
  }

  /** All that stands in Redis, but for times and for what is left out on purpose. */
  async state(): Promise<Record<string, unknown>> {
    const state: Record<string, unknown> = {};
    for (const key of (await client.keys(`${this.prefix}:*`)).sort()) {
      const name = key.slice(`${this.prefix}:${NAME}:`.length);
      if (!LEFT_OUT.includes(name)) state[name] = await this.valueOf(key);
    }
    return state;
  }

  async close(): Promise<void> {
    await this.worker.close(true);
    await this.queue.close();
  }

  private async valueOf(key: string): Promise<unknown> {
    switch (await client.type(key)) {
      case 'hash': {
        const { opts, ...fields } = await client.hgetall(key);
        for (const time of ['timestamp', 'processedOn', 'finishedOn'])
          if (fields[time]) fields[time] = /^\d{13}$/.test(fields[time]) ? 'a time' : fields[time];
        const { jobId, ...known } = JSON.parse(opts ?? '{}') as Record<string, unknown>;
        return { ...fields, opts: known };
      }
      case 'zset': {
        const flat = await client.zrange(key, 0, -1, 'WITHSCORES');
        return flat.map((word) => (/^1\d{12}$/.test(word) ? 'a time' : word));
      }
      case 'list':
        return client.lrange(key, 0, -1);
      case 'set':
        return client.smembers(key);
      default: {
        const lasting = await client.pttl(key);
        return [await client.get(key), lasting > 0 ? Math.ceil(lasting / 5_000) : lasting];
      }
    }
  }
}

/** The stream of events, the version and settings that BullMQ writes down beside it. */
const LEFT_OUT = ['events', 'meta'];

let theirs: Side;
let ours: Side;

beforeEach(() => {
  theirs = new Side('theirs', false);
  ours = new Side('ours', true);
});

function entry(nth: number, priority = 101): DeliveryEntry {
  const id = `01990000-0000-7000-8000-${String(nth).padStart(12, '0')}_1`;
  return { id, name: 'demo', data: { job: `/jobs/${nth}`, data: { text: 'ö "x"' } }, priority };
}

function pending(): {
  promise: Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: unknown) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise((...ends) => ([resolve, reject] = ends));
  return { promise, resolve, reject };
}

const entries = [entry(1), entry(2), entry(3, 1), entry(4, 2_097_151), entry(5), entry(6)];

const both = <Answer>(act: (side: Side) => Promise<Answer>): Promise<[Answer, Answer]> =>
  Promise.all([act(theirs), act(ours)]);

async function expectSame(): Promise<void> {
  const [one, other] = await both((side) => side.state());
  expect(other).toEqual(one);
  expect(Object.keys(one).length).toBeGreaterThan(0);
}

describe('beside BullMQ’s own scripts', () => {
  it('adds the same', async () => {
    await both((side) => side.add(entries));

    await expectSame();
  });

  it('adds nothing that is known, and wakes nobody for it', async () => {
    await both((side) => side.add(entries.slice(0, 2)));
    await ours.takeSome(2);
    await client.del('ours:default-0:marker');

    await ours.add(entries.slice(0, 2));

    expect(await client.exists('ours:default-0:marker', 'ours:default-0:prioritized')).toBe(0);
  });

  it('takes the same, in the same order, under the same locks', async () => {
    await both((side) => side.add(entries));

    const [one, other] = await both((side) => side.takeSome(4));

    expect(other.map(({ id }) => id)).toEqual(one.map(({ id }) => id));
    expect(other.map(({ id }) => id)).toEqual([entry(3).id, entry(1).id, entry(2).id, entry(5).id]);
    await expectSame();
  });

  it('takes nothing where nothing is', async () => {
    const [one, other] = await both((side) => side.take());

    expect([one, other]).toEqual([undefined, undefined]);
  });

  it('ends the same: completed and failed', async () => {
    await both((side) => side.add(entries));
    const failure = new UnrecoverableError('it broke');

    await both(async (side) => {
      const [first, second, third] = await side.takeSome(3);
      await first?.moveToCompleted({ done: ['yes'] }, first.token!, false);
      await second?.moveToFailed(failure, second.token!, false);
      await third?.moveToCompleted(undefined, third.token!, false);
    });

    await expectSame();
  });

  it('takes the next as it ends one', async () => {
    await both((side) => side.add(entries));

    const [one, other] = await both(async (side) => {
      const [first] = await side.takeSome(1);
      return first?.moveToCompleted('done', first.token!, true) as Promise<unknown[]>;
    });

    expect(other[1]).toBe(one[1]);
    await expectSame();
  });

  it('takes the next while the outcome of one is awaited, and then ends it the same', async () => {
    await both((side) => side.add(entries));
    const [first, second] = await ours.takeSome(2);
    const outcomes = [pending(), pending()] as const;
    ours.endLater(first!, outcomes[0].promise);
    ours.endLater(second!, outcomes[1].promise);
    const next = await Promise.all(
      [first, second].map((job) => job!.moveToCompleted(null, job!.token!, true) as Promise<unknown[]>),
    );
    expect(next.map(([, id]) => id)).toEqual([entry(2).id, entry(5).id]);
    expect(await client.llen(ours.queue.keys.active!)).toBe(4);

    outcomes[0].resolve({ done: 'yes' });
    const failure = new UnrecoverableError('it broke');
    outcomes[1].reject(failure);
    const ended = async () => (await client.zcard(ours.queue.keys.failed!)) === 1;
    for (let tries = 0; !(await ended()) && tries < 100; tries++) await sleep(10);

    const [one, other] = await theirs.takeSome(2);
    await one!.moveToCompleted({ done: 'yes' }, one!.token!, true);
    await other!.moveToFailed(failure, other!.token!, true);
    await expectSame();
  });

  it('takes what was handed back before all else', async () => {
    await both((side) => side.add(entries));
    await both(async (side) => {
      const [, second] = await side.takeSome(2);
      await client.lrem(`${side.queue.keys.active}`, 1, second!.id!);
      await client.del(`${side.queue.toKey(second!.id!)}:lock`);
      await client.lpush(`${side.queue.keys.wait}`, second!.id!);
    });

    const [one, other] = await both((side) => side.take());

    expect(other?.id).toBe(entry(1).id);
    expect(one?.id).toBe(other?.id);
    await expectSame();
  });

  it('refuses the end of a delivery whose lock is lost, and takes no other for it', async () => {
    await both((side) => side.add(entries));

    const refusals = await both(async (side) => {
      const [lost, stolen, missing] = await side.takeSome(3);
      await client.del(`${side.queue.toKey(lost!.id!)}:lock`);
      await client.set(`${side.queue.toKey(stolen!.id!)}:lock`, 'of another');
      await client.del(side.queue.keys.active!);
      return Promise.all(
        [lost, stolen, missing].map((job) =>
          job!.moveToCompleted('done', job!.token!, true).then(String, (error: Error) => error.message),
        ),
      );
    });

    expect(refusals[1]).toEqual(refusals[0]);
    expect(refusals[1]).toEqual([
      expect.stringContaining('Missing lock'),
      expect.stringContaining('Lock mismatch'),
      expect.stringContaining('not in the active state'),
    ]);
    await expectSame();
    expect(await client.zcard(ours.queue.keys.prioritized!)).toBe(3);
  });

  it('leaves a queue that is paused or limited, or has delayed deliveries, to BullMQ', async () => {
    await both((side) => side.add(entries));
    await both((side) => side.queue.pause());
    expect(await both((side) => side.take())).toEqual([undefined, undefined]);
    await both((side) => side.queue.resume());

    await both((side) => side.queue.setGlobalConcurrency(1));
    const [one, other] = await both(async (side) => [(await side.take())?.id, (await side.take())?.id]);
    expect(other).toEqual(one);
    expect(other).toEqual([entry(3).id, undefined]);
    await both((side) => side.queue.removeGlobalConcurrency());

    await both((side) => side.queue.add('foreign', { job: '', data: null }, { jobId: 'x_2', delay: 1 }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [first, second] = await both(async (side) => (await side.take())?.id);
    expect(second).toBe(first);
    expect(second).toBe('x_2');
  });
});

it('takes the end that is asked for again for done, and takes nothing for it', async () => {
  await ours.add(entries.slice(0, 2));
  const job = (await ours.take())!;
  await job.moveToCompleted('done', job.token!, false);

  expect(await job.moveToCompleted('done', job.token!, true)).toEqual([]);

  expect(await client.zcard(ours.queue.keys.prioritized!)).toBe(1);
});

it('says nothing of a lock that was lost before the end came', async () => {
  const errors: Error[] = [];
  ours.worker.on('error', (error) => errors.push(error));
  await ours.add(entries.slice(0, 2));
  const [lost, kept] = await ours.takeSome(2);
  const outcome = pending();
  for (const job of [lost, kept]) {
    ours.endLater(job!, outcome.promise);
    await job!.moveToCompleted(null, job!.token!, false);
  }
  await client.set(`${ours.queue.toKey(lost!.id!)}:lock`, 'of another');

  outcome.resolve('done');
  for (let tries = 0; (await client.zcard(ours.queue.keys.completed!)) === 0 && tries < 100; tries++)
    await sleep(10);

  expect(await client.zrange(ours.queue.keys.completed!, 0, -1)).toEqual([kept!.id]);
  expect(await client.lrange(ours.queue.keys.active!, 0, -1)).toEqual([lost!.id]);
  expect(errors).toEqual([]);
});

it('keeps the lock of what is awaited, and gives it up with the end', async () => {
  const shortly = new Side('shortly', true, 400);
  try {
    await shortly.add(entries.slice(0, 1));
    const job = (await shortly.take())!;
    const outcome = pending();
    shortly.endLater(job, outcome.promise);
    await job.moveToCompleted(null, job.token!, false);

    const lock = `${shortly.queue.toKey(job.id!)}:lock`;
    await sleep(1_000);
    expect(await client.get(lock)).toBe(job.token);

    outcome.resolve('done');
    for (let tries = 0; (await client.exists(lock)) === 1 && tries < 100; tries++) await sleep(10);
    await sleep(200);
    expect(await client.exists(lock)).toBe(0);
    expect(await client.zcard(shortly.queue.keys.completed!)).toBe(1);
  } finally {
    await shortly.close();
  }
});

it('does not fail what is awaited where the next one could not be taken', async () => {
  await ours.add(entries.slice(0, 2));
  const job = (await ours.take())!;
  const outcome = pending();
  ours.endLater(job, outcome.promise);
  await client.set(ours.queue.keys.prioritized!, 'no set');
  await expect(job.moveToCompleted(null, job.token!, true)).rejects.toThrow('WRONGTYPE');

  await client.del(ours.queue.keys.prioritized!);
  await job.moveToFailed(new Error('WRONGTYPE'), job.token!, true);
  expect(await client.zcard(ours.queue.keys.failed!)).toBe(0);

  outcome.resolve('done');
  const ended = async () => (await client.zcard(ours.queue.keys.completed!)) === 1;
  for (let tries = 0; !(await ended()) && tries < 100; tries++) await sleep(10);
  expect(await ended()).toBe(true);
});

it('ends and takes all that one turn asks for, more than a script bears', async () => {
  await ours.add(Array.from({ length: 1_700 }, (_, nth) => entry(nth)));
  const jobs = await Promise.all(Array.from({ length: 600 }, () => ours.take()));
  expect(new Set(jobs.map((job) => job?.id)).size).toBe(600);

  const next = await Promise.all(
    jobs.map((job, nth) =>
      nth % 2
        ? job!.moveToCompleted(nth, job!.token!, true)
        : job!.moveToFailed(new Error('it broke'), job!.token!, true),
    ),
  );

  expect(new Set((next as unknown[][]).map(([, id]) => id)).size).toBe(600);
  const { prioritized, active, completed, failed } = await ours.queue.getJobCounts();
  expect({ prioritized, active, completed, failed }).toEqual({
    prioritized: 500,
    active: 600,
    completed: 300,
    failed: 300,
  });
});

it('keeps the last thousand of those that ended, and nothing of the others', async () => {
  await ours.add(Array.from({ length: 1_003 }, (_, nth) => entry(nth)));
  const jobs = await Promise.all(Array.from({ length: 1_003 }, () => ours.take()));
  await jobs[0]!.log('a line');

  for (const job of jobs.slice(0, 3)) await job!.moveToCompleted(null, job!.token!, false);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all(jobs.slice(3).map((job) => job!.moveToCompleted(null, job!.token!, false)));

  expect(await client.zcard(ours.queue.keys.completed!)).toBe(1_000);
  for (const job of jobs.slice(0, 3)) expect(await client.keys(`${ours.queue.toKey(job!.id!)}*`)).toEqual([]);
  expect(await client.keys('ours:*_1')).toHaveLength(1_000);
});

it('wakes another worker as long as something waits, and none for nothing', async () => {
  await ours.add(entries.slice(0, 2));
  await client.del(ours.queue.keys.marker!);

  await ours.take();
  expect(await client.exists(ours.queue.keys.marker!)).toBe(1);

  await client.del(ours.queue.keys.marker!);
  await ours.take();
  expect(await client.exists(ours.queue.keys.marker!)).toBe(0);
});

it('ends what it did not add as BullMQ does: its parent is told', async () => {
  const parent = await ours.queue.add('parent', { job: '', data: null }, { jobId: 'parent' });
  await ours.queue.add(
    'child',
    { job: '', data: null },
    { jobId: 'child', parent: { id: 'parent', queue: ours.queue.qualifiedName }, priority: 1 },
  );
  const [taken, child] = await ours.takeSome(2);
  expect([taken?.id, child?.id]).toEqual([parent.id, 'child']);

  await child!.moveToCompleted('done', child!.token!, false);

  expect(await client.hget('ours:default-0:child', 'returnvalue')).toBe('"done"');
  expect(await client.hgetall('ours:default-0:parent:processed')).toEqual({
    'ours:default-0:child': '"done"',
  });
});
