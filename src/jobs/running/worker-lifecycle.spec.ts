import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import type { AppConfig } from '../../config/app-config.js';
import { Drift } from '../delivery/drift.js';
import { Heartbeat } from '../delivery/heartbeat.js';
import { Reaper } from '../delivery/reaper.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { ClaimCheck } from './claim-check.js';
import { DeferredClaims } from './deferred-claims.js';
import { RunningJobs } from './running-jobs.js';
import { Consumers, WorkerLifecycle } from './worker-lifecycle.js';

class ListedHeartbeat extends Heartbeat {
  lose: () => void = () => undefined;

  constructor(private readonly steps: string[]) {
    super();
  }

  async start(): Promise<void> {
    await Promise.resolve();
    this.steps.push('on record');
  }

  steadyFor(): number {
    return 0;
  }

  onLost(listener: () => void): void {
    this.lose = listener;
  }

  async stop(): Promise<void> {
    this.steps.push('off the record');
  }
}

class ListedConsumers extends Consumers {
  constructor(private readonly steps: string[]) {
    super();
  }

  start(): void {
    this.steps.push('consumes');
  }

  async pause(): Promise<void> {
    await Promise.resolve();
    this.steps.push('fetches no more');
  }

  async close(): Promise<void> {
    this.steps.push('closes the queue');
  }
}

/** A worker whose steps are listed, and which has claimed a job. */
async function setup() {
  const steps: string[] = [];
  const jobs = new InMemoryJobRepository();
  const running = new RunningJobs();
  const identity = new WorkerIdentity([]);
  const heartbeat = new ListedHeartbeat(steps);
  const claims = new ClaimCheck(jobs, running, identity);
  const worker = new WorkerLifecycle(
    { worker: { shutdownGrace: 1_000 } } as AppConfig,
    identity,
    heartbeat,
    new Reaper(jobs, heartbeat, new Drift(jobs)),
    new ListedConsumers(steps),
    running,
    claims,
    new DeferredClaims(jobs, running, identity, claims),
    jobs,
  );
  const [job] = await jobs.insert([aDraft()]);
  const request = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: identity.id };
  const answer = await jobs.claim(request);
  if (answer.kind !== 'claimed') throw new Error('no claim');
  await worker.onApplicationBootstrap();
  const found = async () => (await jobs.find('default', job!.id))!;
  return { worker, steps, jobs, running, heartbeat, claim: answer.claim, found };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('consumes only once its heartbeat is on record', async () => {
  const { worker, steps } = await setup();

  expect(steps).toEqual(['on record', 'consumes']);
  await worker.beforeApplicationShutdown();
});

it('ends in the order in which nothing is lost, and leaves the record last', async () => {
  const { worker, steps, jobs, running, claim } = await setup();
  const job = running.start(claim);
  void running.during(
    () => new Promise<void>((resolve) => job.signal.addEventListener('abort', () => resolve())),
  );
  job.signal.addEventListener('abort', () => steps.push('stops its jobs'));
  const releaseAll = jobs.releaseAll.bind(jobs);
  jest.spyOn(jobs, 'releaseAll').mockImplementation((...args) => {
    steps.push('hands back');
    return releaseAll(...args);
  });
  steps.length = 0;

  await worker.beforeApplicationShutdown();

  expect(steps).toEqual([
    'fetches no more',
    'stops its jobs',
    'hands back',
    'closes the queue',
    'off the record',
  ]);
});

it('hands back at its end what it still holds, without a crash or an attempt', async () => {
  const { worker, found } = await setup();

  await worker.beforeApplicationShutdown();

  expect(await found()).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 0 });
});

it('closes the queue, and leaves, also while the record is away', async () => {
  const { worker, jobs, steps } = await setup();
  jobs.goDown();

  await worker.beforeApplicationShutdown();

  expect(steps.slice(-2)).toEqual(['closes the queue', 'off the record']);
});

it('stops all its jobs when it has lost its lease', async () => {
  const { worker, running, heartbeat, claim } = await setup();
  const job = running.start(claim);

  heartbeat.lose();

  expect(job.wasStoppedBy('lease lost')).toBe(true);
  running.end(job);
  await worker.beforeApplicationShutdown();
});
