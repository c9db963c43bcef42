import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { aDraft } from '../../../test/support/job-drafts.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { JobType, type JobHandler } from '../../job-types/job-type.js';
import { InMemoryJobQueue } from '../in-memory-job-queue.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { QueueUnavailable } from '../job-queue.js';
import type { Job, JobDraft } from '../job.js';
import { Lanes } from './lanes.js';
import { WINDOW } from './backlogs.js';
import { OutboxRelay } from './outbox-relay.js';
import { LaneLeases } from './lane-leases.js';

const data = z.strictObject({ to: z.string(), secret: z.string().meta({ sensitive: true }).optional() });

@JobType({ name: 'send_email', data, example: { to: 'ann' } })
class SendEmail implements JobHandler<typeof data> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const lane = { queue: 'default', shard: 0 };

function setup(shards = 1) {
  const jobs = new InMemoryJobRepository({ shards });
  const queue = new InMemoryJobQueue();
  const types = new JobTypeRegistry([SendEmail]);
  const lanes = new Lanes(['default'], shards);
  const relayOf = () => new OutboxRelay(jobs, queue, types, new LaneLeases(jobs, lanes));
  const submit = (count: number, more: Partial<JobDraft> = {}): Promise<Job[]> =>
    jobs.insert(Array.from({ length: count }, () => aDraft({ data: { to: 'ann' }, ...more })));
  const take = (): string[] => {
    const taken = [];
    for (let next = queue.take(lane); next; next = queue.take(lane)) {
      queue.finish(next);
      taken.push(next.jobId);
    }
    return taken;
  };
  return { jobs, queue, types, relay: relayOf(), relayOf, submit, take };
}

const idsOf = (jobs: Job[]): string[] => jobs.map(({ id }) => id);
const priority = (n: number) => ({ options: { ...aDraft().options, priority: n } });

async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

describe('what was committed just now', () => {
  it('goes to the queue at once, and is marked a moment later', async () => {
    const { relay, jobs, submit, take } = setup();
    const made = await submit(3);

    relay.wake(made);
    await turns();
    expect(take()).toEqual(idsOf(made));
    expect((await jobs.find('default', made[0]!.id))!.enqueuedAt).toBeNull();

    await relay.beforeApplicationShutdown();
    for (const { id } of made) {
      expect((await jobs.find('default', id))!.enqueuedAt).toEqual(expect.any(Date));
    }
  });

  it('is marked within half a second, with the time of its push', async () => {
    const { relay, jobs, submit } = setup();
    const mark = jest.spyOn(jobs, 'markPushed');
    relay.wake(await submit(1));
    await turns();
    relay.wake(await submit(2));
    await turns();
    expect(mark).not.toHaveBeenCalled();

    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(mark.mock.calls.flatMap(([marks]) => marks)).toHaveLength(3);
    expect(mark).toHaveBeenCalledTimes(1);
    const ago = mark.mock.calls[0]?.[0][0]?.ago;
    expect(ago).toBeGreaterThanOrEqual(190);
    expect(ago).toBeLessThan(2_000);
  });

  it('is given to the queue again when it is marked, in case that was wiped meanwhile', async () => {
    const { relay, jobs, queue, submit, take } = setup();
    const [taken, waiting] = await submit(2);
    relay.wake([taken!, waiting!]);
    await turns();
    const { jobId, delivery } = queue.take(lane)!;
    await jobs.claim({ jobId, delivery, token: randomUUID(), workerId: randomUUID() });
    queue.wipe();

    await relay.beforeApplicationShutdown();
    expect(take()).toEqual([waiting!.id]);
  });

  it('shares a push with what was committed at the same time', async () => {
    const { relay, queue, submit } = setup();
    const push = jest.spyOn(queue, 'push');
    const made = await submit(100);

    for (const job of made) relay.wake([job]);
    await turns();

    expect(push.mock.calls.map(([deliveries]) => deliveries.length)).toEqual([100]);
  });

  it('stays in the record while it is delayed', async () => {
    const { relay, submit, take } = setup();

    relay.wake(await submit(1, { delay: 1_000 }));
    await turns();

    expect(take()).toEqual([]);
  });

  it('does not overtake a backlog', async () => {
    const { relay, jobs, submit, take } = setup();
    const old = await submit(2);
    jobs.advance(1_000);
    const fresh = await submit(1);

    relay.wake(fresh);
    await turns();
    expect(take()).toEqual([]);

    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(take()).toEqual(idsOf([...old, ...fresh]));
  });

  it('makes no delivery while it knows that there is a backlog', async () => {
    const { relay, jobs, types, submit } = setup();
    await submit(1);
    jobs.advance(1_000);
    const display = jest.spyOn(types.find('send_email')!, 'display');
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    relay.wake(await submit(1));
    await turns();
    expect(display).toHaveBeenCalledTimes(1);

    clock.mockReturnValue(199);
    relay.wake(await submit(1));
    expect(display).toHaveBeenCalledTimes(1);

    clock.mockReturnValue(200);
    relay.wake(await submit(1));
    expect(display).toHaveBeenCalledTimes(2);
    await turns();
    clock.mockRestore();
  });

  it('does not wait for another look at a gate that was open a moment ago, but for one that is too old', async () => {
    const { relay, jobs, submit, take } = setup();
    const clock = jest.spyOn(performance, 'now');
    const at = (ms: number) => clock.mockReturnValue(ms);
    at(0);
    relay.wake(await submit(1));
    await turns();
    take();

    const looks = jest.spyOn(jobs, 'hasBacklog').mockReturnValue(new Promise(() => undefined));
    at(900);
    const soon = await submit(2);
    relay.wake(soon);
    await turns();
    expect(take()).toEqual(idsOf(soon));
    expect(looks).toHaveBeenCalledTimes(1);

    at(1_100);
    relay.wake(await submit(1));
    await turns();
    expect(take()).toEqual([]);
    clock.mockRestore();
  });

  it('does not pass a pause', async () => {
    const { relay, jobs, submit, take } = setup();
    await jobs.pause('default');

    relay.wake(await submit(1));
    await turns();

    expect(take()).toEqual([]);
  });

  it('is pushed no further than the window, and the rest follows from the record', async () => {
    const { relay, jobs, queue, submit } = setup();
    const made = await submit(WINDOW + 10);

    relay.wake(made);
    await turns(100);
    expect(await queue.depth(lane)).toBe(WINDOW);

    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await jobs.unclaimed(lane, { olderThan: 0, limit: 5_000 })).toHaveLength(WINDOW);

    for (let n = 0; n < 20; n++) queue.take(lane);
    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(await queue.depth(lane)).toBe(WINDOW - 10);
    const delivered = made.map(({ id }) => ({ jobId: id, delivery: 1 }));
    expect(await queue.missing(lane, delivered)).toEqual([]);
  });

  it('is left to the record when the queue is down, and nobody notices', async () => {
    const { relay, jobs, queue, submit, take } = setup();
    queue.goDown();
    const made = await submit(2);

    expect(() => relay.wake(made)).not.toThrow();
    await turns();
    queue.comeBack();
    relay.wake(await submit(1));
    await turns();
    expect(take()).toEqual([]);

    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(take()).toHaveLength(3);
    relay.wake(await submit(1));
    await turns(40);
    expect(take()).toHaveLength(1);
  });

  it('goes to the other lanes while the server of one is away, and there as well once it is back', async () => {
    const { jobs, queue, submit } = setup(4);
    // Another process relays the backlogs.
    const relay = new OutboxRelay(
      jobs,
      queue,
      new JobTypeRegistry([SendEmail]),
      new LaneLeases(jobs, new Lanes([], 4)),
    );
    const depth = queue.depth.bind(queue);
    const away = jest.spyOn(queue, 'depth').mockImplementation((at) => {
      return at.shard === 0 ? Promise.reject(new QueueUnavailable('away')) : depth(at);
    });

    relay.wake(await submit(80));
    await turns(100);
    const others = await Promise.all([1, 2, 3].map((shard) => depth({ ...lane, shard })));
    expect(await depth(lane)).toBe(0);
    expect(Math.min(...others)).toBeGreaterThan(0);

    away.mockRestore();
    await relay.relayBacklogs();
    relay.wake((await submit(80)).filter(({ shard }) => shard !== 0));
    await turns(100);
    expect(await queue.depth({ ...lane, shard: 1 })).toBeGreaterThan(others[0]!);
  });

  it('marks what the other lanes took where a push to one fails', async () => {
    const { relay, jobs, queue, submit } = setup(2);
    const push = queue.push.bind(queue);
    jest.spyOn(queue, 'push').mockImplementation((batch) => {
      return batch[0]?.shard === 0 ? Promise.reject(new QueueUnavailable('away')) : push(batch);
    });

    relay.wake(await submit(40));
    await turns(100);
    await relay.beforeApplicationShutdown();

    const unclaimed = (shard: number) => jobs.unclaimed({ ...lane, shard }, { olderThan: 0, limit: 100 });
    expect(await unclaimed(0)).toEqual([]);
    expect(await unclaimed(1)).toHaveLength(await queue.depth({ ...lane, shard: 1 }));
    expect(await queue.depth({ ...lane, shard: 1 })).toBeGreaterThan(0);
  });

  it('is delivered once although its mark got lost', async () => {
    const { relay, jobs, submit, take } = setup();
    jest.spyOn(jobs, 'markPushed').mockRejectedValueOnce(new Error('lost'));
    const made = await submit(1);
    relay.wake(made);
    await turns();

    jobs.advance(1_000);
    await relay.relayBacklogs();

    expect(take()).toEqual(idsOf(made));
  });

  it('is shown without what is sensitive', async () => {
    const { relay, queue, submit } = setup();

    relay.wake(await submit(1, { data: { to: 'ann', secret: 'hunter2' } }));
    await turns();

    expect(queue.take(lane)).toMatchObject({ display: { to: 'ann', secret: '***' } });
  });
});

describe('a backlog', () => {
  it('is relayed by priority, then by due time', async () => {
    const { relay, jobs, submit, take } = setup();
    const low = await submit(1, priority(200));
    jobs.advance(10);
    const ordinary = await submit(1);
    jobs.advance(10);
    const urgent = await submit(1, priority(0));
    jobs.advance(1_000);

    await relay.relayBacklogs();

    expect(take()).toEqual(idsOf([...urgent, ...ordinary, ...low]));
  });

  it('comes to the queue when its delay is over', async () => {
    const { relay, jobs, submit, take } = setup();
    const made = await submit(1, { delay: 5_000 });

    jobs.advance(4_999);
    await relay.relayBacklogs();
    expect(take()).toEqual([]);

    jobs.advance(1);
    await relay.relayBacklogs();
    expect(take()).toEqual(idsOf(made));
  });

  it('fills the queue to its window and no further, pass after pass', async () => {
    const { relay, jobs, queue, submit } = setup();
    const made = await submit(WINDOW + 10);
    jobs.advance(1_000);

    await relay.relayBacklogs();
    await relay.relayBacklogs();
    expect(await queue.depth(lane)).toBe(WINDOW);

    for (let n = 0; n < 3; n++) queue.take(lane);
    await relay.relayBacklogs();
    expect(await queue.depth(lane)).toBe(WINDOW);
    await relay.beforeApplicationShutdown();
    expect(await jobs.due(lane, 100)).toHaveLength(made.length - WINDOW - 3);
  });

  it('is walked through while it lasts, and read from its start each second', async () => {
    const { relay, jobs, queue, submit, take } = setup();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    const made = await submit(2 * WINDOW);
    const mark = jest.spyOn(jobs, 'markPushed');
    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(take()).toHaveLength(WINDOW);

    const before = await submit(1, { runAt: new Date(made[0]!.runAt.getTime() - 1) });
    const urgent = await submit(1, priority(0));
    jobs.advance(1_000);
    clock.mockReturnValue(999);
    await relay.relayBacklogs();
    const next = take();
    expect(next[0]).toBe(urgent[0]!.id);
    expect(next.slice(1)).toEqual(idsOf(made).slice(WINDOW, 2 * WINDOW - 1));
    expect(mark).not.toHaveBeenCalled();

    clock.mockReturnValue(1_000);
    await relay.relayBacklogs();
    expect(mark.mock.calls[0]![0]).toHaveLength(2 * WINDOW);
    expect(queue.take(lane)?.jobId).toBe(before[0]!.id);
    clock.mockRestore();
  });

  it('is marked at last where it was walked through for ten thousand deliveries', async () => {
    const { relay, jobs, submit, take } = setup();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    await submit(6 * WINDOW);
    const mark = jest.spyOn(jobs, 'markPushed');
    jobs.advance(1_000);
    for (let pass = 1; pass <= 4; pass++) {
      await relay.relayBacklogs();
      take();
    }
    expect(mark).not.toHaveBeenCalled();

    await relay.relayBacklogs();
    expect(mark.mock.calls.map(([marks]) => marks.length)).toEqual([5 * WINDOW]);
    clock.mockRestore();
  });

  it('is pushed again from its start where its lane was away, which may have lost what it had', async () => {
    const { relay, jobs, queue, submit, take } = setup();
    const made = await submit(2 * WINDOW);
    jobs.advance(1_000);
    await relay.relayBacklogs();
    queue.goDown();
    await relay.relayBacklogs();

    queue.comeBack();
    queue.wipe();
    await relay.relayBacklogs();
    expect(take()).toEqual(idsOf(made).slice(0, WINDOW));
  });

  it('is pushed again where its marks could not be written, and is delivered once', async () => {
    const { relay, relayOf, jobs, queue, submit } = setup();
    const made = await submit(WINDOW + 10);
    jobs.advance(1_000);
    await relay.relayBacklogs();
    jest.spyOn(jobs, 'markPushed').mockRejectedValueOnce(new Error('lost'));
    await relay.beforeApplicationShutdown();
    const delivered = [];
    for (let n = 0; n < 20; n++) delivered.push(queue.take(lane)!.jobId);

    const other = relayOf();
    for (let pass = 0; pass < 110; pass++) await other.relayBacklogs();
    for (let next = queue.take(lane); next; next = queue.take(lane)) delivered.push(next.jobId);
    expect(delivered.toSorted()).toEqual(idsOf(made).toSorted());
  });

  it('is marked when the lease on it is lost', async () => {
    const { relay, relayOf, jobs, submit } = setup();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    await submit(WINDOW + 1);
    jobs.advance(1_000);
    await relay.relayBacklogs();

    jobs.advance(60_000);
    await relayOf().relayBacklogs();
    const mark = jest.spyOn(jobs, 'markPushed');
    clock.mockReturnValue(60_000);
    await relay.relayBacklogs();
    expect(mark.mock.calls.map(([marks]) => marks.length)).toEqual([WINDOW]);
    clock.mockRestore();
  });

  it('is looked for more often where the queue was filled, and pushed there once much of it is taken', async () => {
    const { relay, jobs, queue, submit } = setup();
    await submit(WINDOW + 500);
    jobs.advance(1_000);
    const due = jest.spyOn(jobs, 'due');
    await relay.relayBacklogs();
    due.mockClear();

    for (let n = 0; n < 200; n++) queue.finish(queue.take(lane)!);
    await relay.relayBacklogs(true);
    expect(due).not.toHaveBeenCalled();

    for (let n = 0; n < 100; n++) queue.finish(queue.take(lane)!);
    await relay.relayBacklogs(true);
    expect(await queue.depth(lane)).toBe(WINDOW);

    for (let n = 0; n < WINDOW; n++) queue.finish(queue.take(lane)!);
    await relay.relayBacklogs(true);
    expect(await queue.depth(lane)).toBe(200);
    due.mockClear();
    await relay.relayBacklogs(true);
    expect(due).not.toHaveBeenCalled(); // nothing more is known to wait
  });

  it('of a queue that is emptied as fast as it is filled holds up no other for long', async () => {
    const { relay, jobs, queue, submit } = setup(2);
    const made = await submit(3 * WINDOW);
    const [here, there] = [0, 1].map((shard) => made.filter((job) => job.shard === shard));
    jobs.advance(1_000);
    await jobs.markPushed(there!.map(({ id: jobId }) => ({ jobId, delivery: 1 })));
    await relay.relayBacklogs();
    const pushed = new Set<string>();
    jest.spyOn(queue, 'depth').mockResolvedValue(0);
    jest.spyOn(jobs, 'due').mockImplementation(async (lane, limit) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      pushed.add(`${lane.queue}-${lane.shard}`);
      const [job] = here!;
      const due = {
        ...lane,
        jobId: job!.id,
        delivery: 1,
        type: 'send_email',
        priority: 100,
        runAt: '0',
        data: job!.data,
      };
      return lane.shard === 0 ? Array.from({ length: limit }, () => due) : [];
    });

    const until = Date.now() + 3_000;
    relay.onApplicationBootstrap();
    while (!pushed.has('default-1') && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const seen = pushed.has('default-1');
    pushed.clear();
    while (!pushed.has('default-1') && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10));

    expect([seen, pushed.has('default-1')]).toEqual([true, true]);
    jest.mocked(jobs.due).mockResolvedValue([]);
    await relay.beforeApplicationShutdown();
  });

  it('does not keep a process that is told to stop', async () => {
    const { relay, jobs, queue, submit } = setup();
    const [job] = await submit(1);
    jobs.advance(1_000);
    jest.spyOn(queue, 'depth').mockResolvedValue(0);
    const due = {
      ...lane,
      jobId: job!.id,
      delivery: 1,
      type: 'send_email',
      priority: 100,
      runAt: '0',
      data: null,
    };
    jest.spyOn(jobs, 'due').mockImplementation(async (_lane, limit) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Array.from({ length: limit }, () => due);
    });
    relay.onApplicationBootstrap();
    await new Promise((resolve) => setTimeout(resolve, 50));

    let stopped = false;
    const stop = relay.beforeApplicationShutdown().then(() => (stopped = true));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const inTime = stopped;
    jest.mocked(jobs.due).mockResolvedValue([]);
    await stop;
    expect(inTime).toBe(true);
  });

  it('is relayed by the one process that holds the lease', async () => {
    const { relay, relayOf, jobs, queue, submit, take } = setup();
    await relay.relayBacklogs();
    const made = await submit(2);
    jobs.advance(1_000);
    const other = relayOf();
    const push = jest.spyOn(queue, 'push');

    await other.relayBacklogs();
    expect(push).not.toHaveBeenCalled();

    await relay.beforeApplicationShutdown();
    await relayOf().relayBacklogs();
    expect(take()).toEqual(idsOf(made));
  });

  it('is relayed in every shard', async () => {
    const { relay, jobs, queue, submit } = setup(4);
    await submit(80);
    jobs.advance(1_000);

    await relay.relayBacklogs();

    const depths = await Promise.all([0, 1, 2, 3].map((shard) => queue.depth({ ...lane, shard })));
    expect(depths.reduce((sum, depth) => sum + depth, 0)).toBe(80);
    expect(Math.min(...depths)).toBeGreaterThan(0);
  });

  it('goes on in the other lanes while the server of one is away', async () => {
    const { relay, jobs, queue, submit } = setup(4);
    await submit(80);
    jobs.advance(1_000);
    const depth = queue.depth.bind(queue);
    jest.spyOn(queue, 'depth').mockImplementation((at) => {
      return at.shard === 0 ? Promise.reject(new QueueUnavailable('away')) : depth(at);
    });

    await relay.relayBacklogs();

    const others = await Promise.all([1, 2, 3].map((shard) => queue.depth({ ...lane, shard })));
    expect(Math.min(...others)).toBeGreaterThan(0);
    expect(await jobs.due({ ...lane, shard: 1 }, 100)).toEqual([]);
  });

  it('does not hold up what comes due in another lane meanwhile', async () => {
    const { relay, jobs, queue, submit } = setup(2);
    const made = await submit(3_000);
    jobs.advance(1_000);
    const [long] = await Promise.all([0, 1].map(async (shard) => jobs.due({ ...lane, shard }, 3_000)));
    await jobs.markPushed(
      made.filter(({ shard }) => shard === 1).map(({ id }) => ({ jobId: id, delivery: 1 })),
    );
    let turns = 0;
    const due = jobs.due.bind(jobs);
    jest.spyOn(jobs, 'due').mockImplementation(async (at, limit) => {
      if (at.shard === 0 && ++turns === 2) {
        await submit(20);
        jobs.advance(1_000);
      }
      return due(at, limit);
    });

    await relay.relayBacklogs();

    expect(long!.length).toBeGreaterThan(1_000);
    expect(await queue.depth({ ...lane, shard: 1 })).toBeGreaterThan(0);
  });

  it('waits while the record or the queue is down, and goes on', async () => {
    const { relay, jobs, queue, submit, take } = setup();
    const made = await submit(1);
    jobs.advance(1_000);

    jobs.goDown();
    await expect(relay.relayBacklogs()).resolves.toBeUndefined();
    jobs.comeBack();
    queue.goDown();
    await expect(relay.relayBacklogs()).resolves.toBeUndefined();
    queue.comeBack();
    await relay.relayBacklogs();

    expect(take()).toEqual(idsOf(made));
  });

  it('shows nothing of data that are too large, or of a type that is not known', async () => {
    const { relay, jobs, queue, submit } = setup();
    const [large] = await submit(1, { data: { to: 'x'.repeat(5_000) } });
    const [unknown] = await submit(1, { type: 'unknown' });
    jobs.advance(1_000);

    await relay.relayBacklogs();

    expect([queue.take(lane), queue.take(lane)]).toMatchObject([
      { jobId: large!.id, display: '(too large to show)' },
      { jobId: unknown!.id, display: null },
    ]);
  });

  it('is looked for again and again, from the start of the process to its end', async () => {
    jest.useFakeTimers();
    try {
      const { relay, jobs, submit, take } = setup();
      relay.onApplicationBootstrap();
      await jest.advanceTimersByTimeAsync(0);
      const made = await submit(1);
      jobs.advance(1_000);
      await jest.advanceTimersByTimeAsync(300);
      expect(take()).toEqual(idsOf(made));

      await relay.beforeApplicationShutdown();
      await submit(1);
      jobs.advance(1_000);
      await jest.advanceTimersByTimeAsync(5_000);
      expect(take()).toEqual([]);
    } finally {
      jest.useRealTimers();
    }
  });
});

it('ends a push that is under way before it stops', async () => {
  const { relay, submit, take } = setup();
  const made = await submit(1);

  relay.wake(made);
  await relay.beforeApplicationShutdown();

  expect(take()).toEqual(idsOf(made));
});
