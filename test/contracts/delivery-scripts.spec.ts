import { Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryBatches, type End, type Taken } from '../../src/queue/delivery-batches.js';
import { addInScripts } from '../../src/queue/delivery-scripts.js';
import { deliveryOf } from '../../src/queue/lane-consumer.js';
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

/** What was taken, on either side. */
type Held = Pick<Taken, 'id' | 'token'>;

/** A queue and a worker played by hand. */
abstract class Side {
  readonly queue: Queue<DeliveryCard>;
  readonly worker: Worker;

  constructor(private readonly prefix: string) {
    this.queue = new Queue(NAME, { connection: client, prefix });
    this.worker = new Worker(NAME, null, {
      connection: client,
      prefix,
      name: 'host-1',
      lockDuration: 20_000,
      removeOnComplete: { count: 1_000 },
      removeOnFail: { count: 1_000 },
    });
  }

  abstract add(entries: DeliveryEntry[]): Promise<void>;
  abstract take(): Promise<Held | undefined>;
  /** @returns the reason where it is refused */
  abstract complete(held: Held, result?: unknown): Promise<string | undefined>;
  abstract fail(held: Held, error: Error): Promise<string | undefined>;
  abstract completeAndTake(held: Held, result: unknown): Promise<string | undefined>;

  async takeSome(count: number): Promise<Held[]> {
    const held: Held[] = [];
    while (held.length < count) held.push((await this.take())!);
    return held;
  }

  lockOf({ id }: Pick<Held, 'id'>): string {
    return `${this.queue.toKey(id)}:lock`;
  }

  /** All that stands in Redis, but for times, the numbers of tokens, and what is left out on purpose. */
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
        return (await client.smembers(key)).sort();
      default: {
        const lasting = await client.pttl(key);
        const value = await client.get(key);
        const own = value?.replace(new RegExp(`^${this.worker.id}:\\d+$`), 'a token');
        return [own, lasting > 0 ? Math.ceil(lasting / 5_000) : lasting];
      }
    }
  }
}

/** The stream of events, the version and settings that BullMQ writes down beside it. */
const LEFT_OUT = ['events', 'meta'];

class BullMq extends Side {
  private tokens = 0;

  add(entries: DeliveryEntry[]): Promise<void> {
    return QueueConnection.prototype.add.call(undefined, this.queue, entries);
  }

  async take(): Promise<Held | undefined> {
    const token = `${this.worker.id}:${++this.tokens}`;
    const job = await this.worker.getNextJob(token, { block: false });
    return job && { id: job.id!, token };
  }

  complete({ id, token }: Held, result?: unknown): Promise<string | undefined> {
    return this.refusalOf(id, (job) => job.moveToCompleted(result, token, false));
  }

  fail({ id, token }: Held, error: Error): Promise<string | undefined> {
    return this.refusalOf(id, (job) => job.moveToFailed(error, token, false));
  }

  async completeAndTake({ id, token }: Held, result: unknown): Promise<string | undefined> {
    const job = await Job.fromId(this.worker, id);
    const [, next] = (await job!.moveToCompleted(result, token, true)) as unknown[];
    return next as string | undefined;
  }

  private async refusalOf(id: string, end: (job: Job) => Promise<unknown>): Promise<string | undefined> {
    const job = await Job.fromId(this.worker, id);
    return end(job!).then(
      () => undefined,
      (error: Error) => error.message,
    );
  }
}

class Batched extends Side {
  readonly batches = new DeliveryBatches(this.worker);

  add(entries: DeliveryEntry[]): Promise<void> {
    return addInScripts(client, this.queue.keys, entries);
  }

  async take(): Promise<Held | undefined> {
    const { taken } = await this.batches.endAndTake([], 1);
    return taken?.[0];
  }

  async complete(held: Held, result?: unknown): Promise<string | undefined> {
    return this.refusalOf(held.id, await this.batches.endAndTake([completed(held, result)], 0));
  }

  async fail(held: Held, error: Error): Promise<string | undefined> {
    return this.refusalOf(held.id, await this.batches.endAndTake([failed(held, error)], 0));
  }

  async completeAndTake(held: Held, result: unknown): Promise<string | undefined> {
    const { taken } = await this.batches.endAndTake([completed(held, result)], 1);
    return taken?.[0]?.id;
  }

  private refusalOf(jobId: string, { codes: [code = NaN] }: { codes: number[] }): string | undefined {
    if (code >= 0) return undefined;
    const refused = { code, jobId, command: 'moveToFinished', state: 'active' };
    return this.worker.getBackend().finishedErrors(refused).message;
  }
}

function completed({ id, token }: Held, result?: unknown): End {
  return { id, token, value: JSON.stringify(result ?? null), stack: '' };
}

function failed({ id, token }: Held, { message, stack }: Error): End {
  return { id, token, value: message, stack: JSON.stringify([stack]) };
}

let theirs: BullMq;
let ours: Batched;

beforeEach(() => {
  theirs = new BullMq('theirs');
  ours = new Batched('ours');
});

function entry(nth: number, priority = 101): DeliveryEntry {
  const id = `01990000-0000-7000-8000-${String(nth).padStart(12, '0')}_1`;
  return { id, name: 'demo', data: { job: `/jobs/${nth}`, data: { text: 'ö "x"' } }, priority };
}

const many = (count: number): DeliveryEntry[] => Array.from({ length: count }, (_, nth) => entry(nth));
const entries = [entry(1), entry(2), entry(3, 1), entry(4, 2_097_151), entry(5), entry(6)];
const idsOf = (held: readonly Pick<Held, 'id'>[] | undefined) => held?.map(({ id }) => id);

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

    expect(idsOf(other)).toEqual(idsOf(one));
    expect(idsOf(other)).toEqual([entry(3).id, entry(1).id, entry(2).id, entry(5).id]);
    for (const held of other) expect(await client.get(ours.lockOf(held))).toBe(held.token);
    await expectSame();
  });

  it('takes many in one script as BullMQ takes them one by one', async () => {
    await both((side) => side.add(entries));

    const one = await theirs.takeSome(4);
    const { codes, taken } = await ours.batches.endAndTake([], 4);

    expect(codes).toEqual([]);
    expect(idsOf(taken)).toEqual(idsOf(one));
    expect(taken?.map(({ token }) => token)).toEqual([1, 2, 3, 4].map((nth) => `${ours.worker.id}:${nth}`));
    for (const held of taken!) expect(await client.get(ours.lockOf(held))).toBe(held.token);
    await expectSame();
  });

  it('takes what there is where it is less than there is room for', async () => {
    await both((side) => side.add(entries));
    await theirs.takeSome(6);

    const { taken } = await ours.batches.endAndTake([], 250);

    expect(taken).toHaveLength(6);
    await expectSame();

    expect(await both((side) => side.take())).toEqual([undefined, undefined]);
    await expectSame();
  });

  it('takes nothing where nothing is', async () => {
    const [one, other] = await both((side) => side.take());

    expect([one, other]).toEqual([undefined, undefined]);
    expect(await ours.batches.endAndTake([], 3)).toEqual({ codes: [], taken: [] });
  });

  it('ends the same: completed and failed', async () => {
    await both((side) => side.add(entries));
    const failure = new UnrecoverableError('it broke');

    const answers = await both(async (side) => {
      const [first, second, third] = await side.takeSome(3);
      await client.sadd(side.queue.keys.stalled!, first!.id, second!.id, 'another');
      return [
        await side.complete(first!, { done: ['yes'] }),
        await side.fail(second!, failure),
        await side.complete(third!),
      ];
    });

    expect(answers.flat()).toEqual(Array(6).fill(undefined));
    await expectSame();
  });

  it('takes the next as it ends one', async () => {
    await both((side) => side.add(entries));

    const [one, other] = await both(async (side) => {
      const [first] = await side.takeSome(1);
      return side.completeAndTake(first!, 'done');
    });

    expect(other).toBe(entry(1).id);
    expect(other).toBe(one);
    await expectSame();
  });

  it('ends some and takes others in one script as BullMQ does one by one', async () => {
    await both((side) => side.add(entries));
    const failure = new UnrecoverableError('it broke');
    const [[one, other], [first, second]] = await both((side) => side.takeSome(2));
    await theirs.complete(one!, { done: 'yes' });
    await theirs.fail(other!, failure);
    const next = await theirs.takeSome(2);

    const { codes, taken } = await ours.batches.endAndTake(
      [completed(first!, { done: 'yes' }), failed(second!, failure)],
      2,
    );

    expect(codes).toEqual([0, 0]);
    expect(idsOf(taken)).toEqual(idsOf(next));
    await expectSame();
  });

  it('takes what was handed back before all else', async () => {
    await both((side) => side.add(entries));
    await both(async (side) => {
      const [, second] = await side.takeSome(2);
      await client.lrem(side.queue.keys.active!, 1, second!.id);
      await client.del(side.lockOf(second!));
      await client.lpush(side.queue.keys.wait!, second!.id);
    });

    const [one, other] = await both((side) => side.take());

    expect(other?.id).toBe(entry(1).id);
    expect(one?.id).toBe(other?.id);
    await expectSame();
  });

  it('takes what it handed back itself before its equals', async () => {
    await both((side) => side.add(entries));
    await both(async (side) => {
      const [, second] = await side.takeSome(2);
      await deliveryOf(side.worker, second!).moveToWait(second!.token);
    });
    await expectSame();

    const [one, other] = await both((side) => side.takeSome(2));

    expect(idsOf(other)).toEqual([entry(1).id, entry(2).id]);
    expect(idsOf(one)).toEqual(idsOf(other));
    await expectSame();
  });

  it('refuses the end of a delivery whose lock is lost, and takes no other for it', async () => {
    await both((side) => side.add(entries));

    const refusals = await both(async (side) => {
      const [lost, stolen, missing] = await side.takeSome(3);
      await client.del(side.lockOf(lost!));
      await client.set(side.lockOf(stolen!), 'of another');
      await client.del(side.queue.keys.active!);
      await client.sadd(side.queue.keys.stalled!, lost!.id, stolen!.id, missing!.id);
      return Promise.all([lost, stolen, missing].map((held) => side.complete(held!, 'done')));
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

  it('ends the others of a script in which some are refused', async () => {
    await ours.add(entries);
    const [lost, stolen, missing, fine] = await ours.takeSome(4);
    await client.del(ours.lockOf(lost!));
    await client.set(ours.lockOf(stolen!), 'of another');
    await client.lrem(ours.queue.keys.active!, 1, missing!.id);

    const { codes, taken } = await ours.batches.endAndTake(
      [lost, stolen, missing, fine].map((held) => completed(held!, 'done')),
      1,
    );

    expect(codes).toEqual([-2, -6, -3, 0]);
    expect(idsOf(taken)).toEqual([entry(6).id]);
    expect(await client.zrange(ours.queue.keys.completed!, 0, -1)).toEqual([fine!.id]);
    expect(await client.lrange(ours.queue.keys.active!, 0, -1)).toEqual([entry(6).id, stolen!.id, lost!.id]);
  });
});

describe('a queue of which BullMQ’s own script must judge', () => {
  const foreign = (delay: number) =>
    ours.queue.add('foreign', { job: '', data: null }, { jobId: 'x_2', delay });

  it.each<[string, () => Promise<unknown>, () => Promise<unknown>]>([
    ['is paused', () => ours.queue.pause(), () => ours.queue.resume()],
    [
      'may run so many at a time',
      () => ours.queue.setGlobalConcurrency(100),
      () => ours.queue.removeGlobalConcurrency(),
    ],
    [
      'may start so many in a time',
      () => ours.queue.setGlobalRateLimit(100, 1_000),
      () => ours.queue.removeGlobalRateLimit(),
    ],
    ['has delayed ones', () => foreign(60_000), async () => (await ours.queue.getJob('x_2'))!.remove()],
  ])('gives nothing where it %s, and ends what there is to end', async (_what, hold, release) => {
    await ours.add(entries);
    const [first, second] = await ours.takeSome(2);
    await hold();
    const before = await client.zrange(ours.queue.keys.prioritized!, 0, -1);

    expect(await ours.batches.endAndTake([completed(first!, 'done')], 2)).toEqual({ codes: [0] });
    expect(await ours.batches.endAndTake([completed(second!, 'done')], 0)).toEqual({
      codes: [0],
      taken: [],
    });

    expect(await client.zrange(ours.queue.keys.prioritized!, 0, -1)).toEqual(before);
    expect(await client.exists(ours.queue.keys.active!)).toBe(0);

    await release();
    expect(idsOf((await ours.batches.endAndTake([], 2)).taken)).toEqual([entry(2).id, entry(5).id]);
  });
});

it('says of exactly those that were taken before that they were', async () => {
  await ours.add(entries);
  const { taken } = await ours.batches.endAndTake([], 3);
  expect(taken?.map(({ again }) => again)).toEqual([false, false, false]);
  const [ended, handedBack, lost] = taken!;
  await deliveryOf(ours.worker, handedBack!).moveToWait(handedBack!.token);
  await client.lrem(ours.queue.keys.active!, 1, lost!.id);
  await client.rpush(ours.queue.keys.wait!, lost!.id);

  const next = await ours.batches.endAndTake([completed(ended!)], 10);

  expect(next.taken?.map(({ id, again }) => [id, again])).toEqual([
    [lost!.id, true],
    [handedBack!.id, true],
    [entry(5).id, false],
    [entry(6).id, false],
    [entry(4).id, false],
  ]);
});

it('says that it was taken before of what BullMQ’s own script took', async () => {
  await ours.add(entries.slice(0, 1));
  const token = ours.batches.nextToken();
  await ours.worker.getBackend().moveToActive(token, 'host-1');
  await deliveryOf(ours.worker, entry(1)).moveToWait(token);

  expect((await ours.batches.endAndTake([], 1)).taken).toMatchObject([{ id: entry(1).id, again: true }]);
});

it('gives no token twice, whoever makes it', async () => {
  await ours.add(entries);

  const tokens = [ours.batches.nextToken()];
  const answers = await Promise.all([2, 1, 250].map((room) => ours.batches.endAndTake([], room)));
  for (const { taken } of answers) tokens.push(...taken!.map(({ token }) => token));
  tokens.push(ours.batches.nextToken());

  expect(tokens).toHaveLength(8);
  expect(new Set(tokens).size).toBe(8);
  for (const held of answers.flatMap(({ taken }) => taken!))
    expect(await client.get(ours.lockOf(held))).toBe(held.token);
});

it.each([
  ['completed', (held: Held) => completed(held, 'done')],
  ['failed', (held: Held) => failed(held, new Error('it broke'))],
] as const)('takes the end that is asked for again for done: %s', async (set, ending) => {
  await ours.add(entries.slice(0, 2));
  const [held] = await ours.takeSome(1);
  await ours.batches.endAndTake([ending(held!)], 0);
  const before = await ours.state();

  expect(await ours.batches.endAndTake([ending(held!)], 0)).toEqual({ codes: [1], taken: [] });

  expect(await ours.state()).toEqual(before);
  expect(await client.zrange(ours.queue.keys[set]!, 0, -1)).toEqual([held!.id]);
  expect(await client.zcard(ours.queue.keys.prioritized!)).toBe(1);
});

it('ends and takes as many in one script as a consumer asks for at most', async () => {
  await ours.add(many(1_200));
  const { taken } = await ours.batches.endAndTake([], 250);
  expect(taken).toHaveLength(250);

  const ends = taken!.map((held, nth) =>
    nth % 2 ? completed(held, nth) : failed(held, new Error('it broke')),
  );
  const next = await ours.batches.endAndTake(ends, 250);

  expect(next.codes).toEqual(Array(250).fill(0));
  expect(new Set([...idsOf(taken)!, ...idsOf(next.taken)!]).size).toBe(500);
  const counts = await ours.queue.getJobCounts('prioritized', 'active', 'completed', 'failed');
  expect(counts).toEqual({ prioritized: 700, active: 250, completed: 125, failed: 125 });
});

it.each([
  ['completed', completed],
  ['failed', (held: Held) => failed(held, new Error('it broke'))],
] as const)('keeps the last thousand that ended as %s, and nothing of the others', async (set, ending) => {
  await ours.add(many(1_003));
  const { taken } = await ours.batches.endAndTake([], 1_003);
  const [first, second, third, ...others] = taken!;
  await deliveryOf(ours.worker, first!).log('a line');

  for (const held of [first!, second!, third!]) await ours.batches.endAndTake([ending(held)], 0);
  await sleep(5);
  for (let from = 0; from < 1_000; from += 250)
    await ours.batches.endAndTake(
      others.slice(from, from + 250).map((held) => ending(held)),
      0,
    );

  expect(await client.zcard(ours.queue.keys[set]!)).toBe(1_000);
  for (const { id } of [first!, second!, third!]) expect(await client.keys(`ours:*${id}*`)).toEqual([]);
  expect(await client.keys('ours:*_1')).toHaveLength(1_000);
});

it('wakes another worker as long as something waits, and none for nothing', async () => {
  const marker = ours.queue.keys.marker!;
  await ours.add(entries.slice(0, 3));
  await client.del(marker);

  const [first, second] = await ours.takeSome(2);
  expect(await client.exists(marker)).toBe(1);

  await client.del(marker);
  const [third] = await ours.takeSome(1);
  expect(await client.exists(marker)).toBe(0);

  await ours.batches.endAndTake([completed(first!)], 0);
  await ours.batches.endAndTake([completed(second!)], 5);
  expect(await client.exists(marker)).toBe(0);

  await client.rpush(ours.queue.keys.wait!, 'one', third!.id);
  await ours.take();
  expect(await client.exists(marker)).toBe(1);
});
