import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { AppConfig } from '../../config/app-config.js';
import { Heartbeat } from '../delivery/heartbeat.js';
import { Reaper } from '../delivery/reaper.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { RunningJobs } from './running-jobs.js';
import { Consumers, WorkerLifecycle } from './worker-lifecycle.js';

/** A process that runs one job, and compares what it holds with the record. */
async function setup() {
  const jobs = new InMemoryJobRepository();
  const running = new RunningJobs();
  const worker = new WorkerIdentity([]);
  const lifecycle = new WorkerLifecycle(
    {} as AppConfig,
    worker,
    {} as Heartbeat,
    {} as Reaper,
    {} as Consumers,
    running,
    jobs,
  );
  const claim = async () => {
    const [job] = await jobs.insert([aDraft()]);
    const request = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: worker.id };
    const answer = await jobs.claim(request);
    if (answer.kind !== 'claimed') throw new Error('no claim');
    return answer.claim;
  };
  return { jobs, running, lifecycle, claim, job: running.start(await claim()) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('leaves alone what runs here and stands on record', async () => {
  const { lifecycle, job, jobs } = await setup();
  jobs.advance(60_000);

  await lifecycle.compareClaims();

  expect(job.signal.aborted).toBe(false);
});

it('stops an attempt whose job was taken over', async () => {
  const { lifecycle, job, jobs } = await setup();
  await jobs.release(job.claim, 'reaped');

  await lifecycle.compareClaims();

  expect(job.wasStoppedBy('lease lost')).toBe(true);
});

it('makes a claim again that a crash of the database took back', async () => {
  const { lifecycle, job, jobs } = await setup();
  jobs.loseClaims();

  await lifecycle.compareClaims();

  expect(job.signal.aborted).toBe(false);
  expect(await jobs.find('default', job.claim.jobId)).toMatchObject({ status: 'active' });
});

it('hands back a claim of which this process knows nothing, once it is no longer new', async () => {
  const { lifecycle, claim, jobs } = await setup();
  const { jobId } = await claim();

  await lifecycle.compareClaims();
  expect(await jobs.find('default', jobId)).toMatchObject({ status: 'active' });
  jobs.advance(10_000);
  await lifecycle.compareClaims();

  expect(await jobs.find('default', jobId)).toMatchObject({ status: 'waiting', delivery: 2 });
});

it('waits while the record is away', async () => {
  const { lifecycle, job, jobs } = await setup();
  jobs.goDown();

  await expect(lifecycle.compareClaims()).resolves.toBeUndefined();

  expect(job.signal.aborted).toBe(false);
});
