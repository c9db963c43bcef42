import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { Drift } from './drift.js';
import { Heartbeat } from './heartbeat.js';
import { CRASH_LIMIT, LEASE, Reaper } from './reaper.js';

class SteadyHeartbeat extends Heartbeat {
  steady = LEASE;

  steadyFor(): number {
    return this.steady;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  onLost(): void {}
}

/** A job in the hands of a worker that then dies. */
async function setup() {
  const jobs = new InMemoryJobRepository();
  const heartbeat = new SteadyHeartbeat();
  const drift = new Drift(jobs);
  const [job] = await jobs.insert([aDraft()]);
  const found = async () => (await jobs.find('default', job!.id))!;
  const crash = async ({ alone = false } = {}): Promise<void> => {
    const claim = {
      jobId: job!.id,
      delivery: (await found()).delivery,
      token: randomUUID(),
      workerId: 'dead',
    };
    await jobs.claim(claim);
    if (alone) await jobs.markAlone(claim);
    jobs.advance(LEASE + 1);
  };
  return { jobs, heartbeat, found, crash, drift, reaper: new Reaper(jobs, heartbeat, drift) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('counts what it takes back', async () => {
  const { jobs, reaper, drift, crash } = await setup();
  for (let crashes = 0; crashes < 3; crashes++) {
    await crash({ alone: true });
    await reaper.run();
  }
  await drift.beforeApplicationShutdown();

  expect(await jobs.drift()).toMatchObject({ reaped: 2, quarantined: 1 });
});

it('takes back what a dead worker held', async () => {
  const { reaper, crash, found } = await setup();
  await crash();

  await reaper.run();

  expect(await found()).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 0 });
});

it('touches nothing before its own heart has beaten for a full lease: after an outage all seem dead', async () => {
  const { reaper, heartbeat, crash, found } = await setup();
  await crash();
  heartbeat.steady = LEASE - 1;

  await reaper.run();
  expect(await found()).toMatchObject({ status: 'active' });

  heartbeat.steady = LEASE;
  await reaper.run();
  expect(await found()).toMatchObject({ status: 'waiting' });
});

it('puts a job into quarantine that killed its process alone, and too often', async () => {
  const { reaper, crash, found } = await setup();
  const statuses = [];

  for (let crashes = 1; crashes <= CRASH_LIMIT; crashes++) {
    await crash({ alone: true });
    await reaper.run();
    statuses.push((await found()).status);
  }

  expect(statuses).toEqual([...Array<string>(CRASH_LIMIT - 1).fill('waiting'), 'failed']);
  expect(await found()).toMatchObject({ error: { code: 'CRASHED' } });
});

it('waits out an outage of the record', async () => {
  const { reaper, jobs, crash, found } = await setup();
  await crash();
  jobs.goDown();

  await expect(reaper.run()).resolves.toBeUndefined();

  jobs.comeBack();
  await reaper.run();
  expect(await found()).toMatchObject({ status: 'waiting' });
});

it('goes on by itself from start to stop', async () => {
  jest.useFakeTimers();
  try {
    const { reaper, jobs } = await setup();
    const reap = jest.spyOn(jobs, 'reap');
    reaper.start();
    await jest.advanceTimersByTimeAsync(4_000);
    expect(reap.mock.calls).toEqual(Array(3).fill([LEASE, CRASH_LIMIT]));

    await reaper.stop();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(reap).toHaveBeenCalledTimes(3);
  } finally {
    jest.useRealTimers();
  }
});
