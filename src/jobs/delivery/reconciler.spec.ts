import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { InMemoryJobQueue } from '../in-memory-job-queue.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { QueueUnavailable } from '../job-queue.js';
import { RecordUnavailable } from '../job.errors.js';
import { Drift } from './drift.js';
import { Lanes } from './lanes.js';
import { Reconciler } from './reconciler.js';
import { LaneLeases } from './lane-leases.js';

const lane = { queue: 'default', shard: 0 };

/** Jobs that are on record and in the queue, and a reconciler that has seen the queue as it is. */
async function setup(count = 3) {
  const jobs = new InMemoryJobRepository();
  const queue = new InMemoryJobQueue();
  const lanes = new Lanes(['default'], 1);
  const types = new JobTypeRegistry([]);
  const drift = new Drift(jobs);
  const reconciler = new Reconciler(jobs, queue, types, new LaneLeases(jobs, lanes), drift);
  const ids = (await jobs.insert(Array.from({ length: count }, () => aDraft()))).map(({ id }) => id);
  const deliveries = ids.map((jobId) => ({ jobId, delivery: 1 }));
  await queue.push(
    deliveries.map((one) => ({ ...one, ...lane, type: 'demo', priority: 100, display: null })),
  );
  await jobs.markPushed(deliveries);
  await queue.writeMark(lane, 1);
  await reconciler.reconcile(lane, false);

  const takeAll = (): string[] => {
    const taken = [];
    for (let next = queue.take(lane); next; next = queue.take(lane))
      taken.push(`${next.jobId}_${next.delivery}`);
    return taken;
  };
  const claim = (jobId: string) =>
    jobs.claim({ jobId, delivery: 1, token: randomUUID(), workerId: randomUUID() });
  const found = async (id: string) => (await jobs.find('default', id))!;
  return { jobs, queue, reconciler, ids, takeAll, claim, found, types, lanes, drift };
}

const firstDeliveries = (ids: string[]) => ids.map((id) => `${id}_1`);

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('does nothing while the queue is as it was', async () => {
  const { queue, reconciler, ids, takeAll } = await setup();
  const push = jest.spyOn(queue, 'push');

  expect(await reconciler.reconcile(lane, false)).toBe(0);

  expect(push).not.toHaveBeenCalled();
  expect(takeAll()).toEqual(firstDeliveries(ids));
});

it('fills a wiped queue again with what was pushed and not claimed', async () => {
  const { jobs, queue, reconciler, ids, takeAll, claim } = await setup(4);
  const [claimed, ...unclaimed] = ids;
  await claim(claimed!);
  await jobs.insert([aDraft()]);
  queue.wipe();

  expect(await reconciler.reconcile(lane, false)).toBe(3);

  expect(takeAll()).toEqual(firstDeliveries(unclaimed));
  expect(await reconciler.reconcile(lane, false)).toBe(0);
});

it('counts what was lost and repaired, and how often a lane was rebuilt', async () => {
  const { jobs, queue, reconciler, drift } = await setup(4);
  queue.wipe();
  await reconciler.reconcile(lane, false);
  queue.finish(queue.take(lane)!);
  jobs.advance(15_000);
  await reconciler.reconcile(lane, true);
  await drift.beforeApplicationShutdown();

  expect(await jobs.drift()).toMatchObject({ lost: 5, repaired: 5, rebuilt: 1 });
});

it('does so page by page', async () => {
  const { queue, reconciler, ids } = await setup(1_100);
  queue.wipe();

  expect(await reconciler.reconcile(lane, false)).toBe(1_100);

  const deliveries = ids.map((jobId) => ({ jobId, delivery: 1 }));
  expect(await queue.missing(lane, deliveries)).toEqual([]);
  expect(await queue.depth(lane)).toBe(1_100);
});

it('adds nothing twice to a queue that came back whole on another server', async () => {
  const { queue, reconciler, ids, takeAll } = await setup();
  const running = queue.take(lane);
  queue.restart();
  const push = jest.spyOn(queue, 'push');

  await reconciler.reconcile(lane, false);

  expect(push).toHaveBeenCalled();
  expect(takeAll()).toEqual(firstDeliveries(ids.filter((id) => id !== running?.jobId)));
});

it('notices a queue that was restored from an older copy', async () => {
  const { queue, reconciler, ids, takeAll } = await setup();
  await reconciler.reconcile(lane, false);
  queue.wipe();
  await queue.writeMark(lane, 1);

  expect(await reconciler.reconcile(lane, false)).toBe(3);

  expect(takeAll()).toEqual(firstDeliveries(ids));
});

it('makes a rebuild that broke off again, also when it was another process that began it', async () => {
  const { jobs, queue, reconciler, takeAll, ids, types, lanes, drift } = await setup();
  const other = new Reconciler(jobs, queue, types, new LaneLeases(jobs, lanes), drift);
  await other.reconcile(lane, false);
  queue.wipe();
  jobs.goDown();
  await expect(other.reconcile(lane, false)).rejects.toBeInstanceOf(RecordUnavailable);

  jobs.comeBack();
  expect(await reconciler.reconcile(lane, false)).toBe(3);
  expect(takeAll()).toEqual(firstDeliveries(ids));
});

it('rebuilds an unmarked queue also in a process that has just started', async () => {
  const { jobs, queue, types, lanes, drift, takeAll, ids } = await setup();
  queue.wipe();
  const fresh = new Reconciler(jobs, queue, types, new LaneLeases(jobs, lanes), drift);

  expect(await fresh.reconcile(lane, false)).toBe(3);

  expect(takeAll()).toEqual(firstDeliveries(ids));
});

it.each(['the mark is read', 'the queue is filled'])('sees a wipe that comes after %s', async (moment) => {
  const { queue, reconciler, takeAll, ids } = await setup();
  if (moment === 'the queue is filled') queue.wipe();
  const write = queue.writeMark.bind(queue);
  const wiped = jest.spyOn(queue, 'writeMark').mockImplementation((at, epoch, after) => {
    if (after !== undefined) queue.wipe();
    return write(at, epoch, after);
  });
  await reconciler.reconcile(lane, false);
  wiped.mockRestore();

  expect(await reconciler.reconcile(lane, false)).toBe(3);
  expect(takeAll()).toEqual(firstDeliveries(ids));
});

it('lets the mark grow, also past a wipe', async () => {
  const { queue, reconciler } = await setup();
  const epochs: number[] = [];
  for (const wipe of [false, false, true, false]) {
    if (wipe) queue.wipe();
    await reconciler.reconcile(lane, false);
    epochs.push((await queue.readMark(lane))!.epoch);
  }

  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(new Set(epochs).size).toBe(4);
});

describe('a sweep', () => {
  it('takes back a delivery that the queue has ended without a claim', async () => {
    const { jobs, queue, reconciler, found } = await setup(2);
    const ended = queue.take(lane)!;
    queue.finish(ended);
    jobs.advance(15_000);

    expect(await reconciler.reconcile(lane, false)).toBe(0);
    expect(await reconciler.reconcile(lane, true)).toBe(1);

    expect(await found(ended.jobId)).toMatchObject({ delivery: 2, enqueuedAt: null, status: 'waiting' });
  });

  it('leaves alone what still waits in the queue, what a worker holds, and what was pushed lately', async () => {
    const { jobs, queue, reconciler, ids, claim, found } = await setup();
    const [held, ended] = [queue.take(lane)!, queue.take(lane)!];
    await claim(held.jobId);
    queue.finish(held);
    queue.finish(ended);

    jobs.advance(14_999);
    expect(await reconciler.reconcile(lane, true)).toBe(0);
    jobs.advance(1);
    expect(await reconciler.reconcile(lane, true)).toBe(1);

    const delivered = await Promise.all(ids.map(async (id) => (await found(id)).delivery));
    expect(delivered).toEqual(ids.map((id) => (id === ended.jobId ? 2 : 1)));
  });
});

describe('by itself', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('repairs within a second, goes on after outages, and stops with the process', async () => {
    const { jobs, queue, reconciler } = await setup();
    reconciler.onApplicationBootstrap();
    await jest.advanceTimersByTimeAsync(10);

    queue.wipe();
    queue.goDown();
    await jest.advanceTimersByTimeAsync(3_000);
    await expect(queue.depth(lane)).rejects.toBeInstanceOf(QueueUnavailable);
    queue.comeBack();
    jobs.goDown();
    await jest.advanceTimersByTimeAsync(3_000);
    jobs.comeBack();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await queue.depth(lane)).toBe(3);

    await reconciler.beforeApplicationShutdown();
    queue.wipe();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(await queue.depth(lane)).toBe(0);
  });

  it('warns once of a queue whose jobs nobody relays', async () => {
    const { jobs, reconciler } = await setup();
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
    await jobs.insert([aDraft({ queue: 'ledger' })]);
    reconciler.onApplicationBootstrap();

    await jest.advanceTimersByTimeAsync(90_000);

    const warnings = warn.mock.calls.filter(([what]) => what === 'queue without a relay');
    expect(warnings).toEqual([['queue without a relay', expect.objectContaining({ queue: 'ledger' })]]);
    await reconciler.beforeApplicationShutdown();
  });

  it('sweeps every half minute', async () => {
    const { jobs, queue, reconciler, found } = await setup(1);
    const ended = queue.take(lane)!;
    queue.finish(ended);
    jobs.advance(15_000);
    reconciler.onApplicationBootstrap();

    await jest.advanceTimersByTimeAsync(28_000);
    expect(await found(ended.jobId)).toMatchObject({ delivery: 1 });
    await jest.advanceTimersByTimeAsync(2_000);
    expect(await found(ended.jobId)).toMatchObject({ delivery: 2 });
    await reconciler.beforeApplicationShutdown();
  });
});
