import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { ClaimCheck } from './claim-check.js';
import { RunningJobs } from './running-jobs.js';

/** A process that runs one job, and compares what it holds with the record. */
async function setup() {
  const jobs = new InMemoryJobRepository();
  const running = new RunningJobs();
  const worker = new WorkerIdentity([]);
  const check = new ClaimCheck(jobs, running, worker);
  const claim = async () => {
    const [job] = await jobs.insert([aDraft()]);
    const request = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: worker.id };
    const answer = await jobs.claim(request);
    if (answer.kind !== 'claimed') throw new Error('no claim');
    return answer.claim;
  };
  return { jobs, running, check, claim, job: running.start(await claim()) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('leaves alone what runs here and stands on record', async () => {
  const { check, job, jobs } = await setup();
  jobs.advance(60_000);

  await check.run();

  expect(job.signal.aborted).toBe(false);
});

it('stops an attempt whose job was taken over', async () => {
  const { check, job, jobs } = await setup();
  await jobs.release(job.claim, 'reaped');

  await check.run();

  expect(job.wasStoppedBy('lease lost')).toBe(true);
});

it('tells an attempt that its job was cancelled', async () => {
  const { check, job, jobs } = await setup();
  await jobs.cancel('default', job.claim.jobId);

  await check.run();

  expect(job.wasStoppedBy('cancelled')).toBe(true);
  const abandoned = jest.fn();
  job.onAbandoned(abandoned);
  expect(abandoned).toHaveBeenCalledTimes(1);
});

it('makes a claim again that a crash of the database took back', async () => {
  const { check, job, jobs } = await setup();
  jobs.loseClaims();

  await check.run();

  expect(job.signal.aborted).toBe(false);
  expect(await jobs.find('default', job.claim.jobId)).toMatchObject({ status: 'active' });
});

it('hands back a claim of which this process knows nothing, once it is no longer new', async () => {
  const { check, claim, jobs } = await setup();
  const { jobId } = await claim();

  await check.run();
  expect(await jobs.find('default', jobId)).toMatchObject({ status: 'active' });
  jobs.advance(10_000);
  await check.run();

  expect(await jobs.find('default', jobId)).toMatchObject({ status: 'waiting', delivery: 2 });
});

it('waits while the record is away', async () => {
  const { check, job, jobs } = await setup();
  jobs.goDown();

  await expect(check.run()).resolves.toBeUndefined();

  expect(job.signal.aborted).toBe(false);
});
