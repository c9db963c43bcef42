import { Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { ClaimCheck } from './claim-check.js';
import { DeferredClaims } from './deferred-claims.js';
import { RunningJobs } from './running-jobs.js';

/** A process in which one attempt has started with a deferred claim. */
async function setup() {
  const jobs = new InMemoryJobRepository();
  const running = new RunningJobs();
  const worker = new WorkerIdentity([]);
  const check = new ClaimCheck(jobs, running, worker);
  const deferred = new DeferredClaims(jobs, running, worker, check);
  const [{ id } = { id: '' }] = await jobs.insert([aDraft()]);
  const request = { jobId: id, delivery: 1, token: randomUUID(), workerId: worker.id };
  const answer = await jobs.claim({ ...request, deferrable: true });
  if (answer.kind !== 'claimed') throw new Error('no claim');
  const job = running.start(answer.claim);
  const status = async () => (await jobs.find('default', id))?.status;
  const rival = () => jobs.claim({ ...request, token: randomUUID(), workerId: randomUUID() });
  return { jobs, running, worker, check, deferred, job, id, status, rival };
}

beforeAll(() => {
  Logger.overrideLogger(false);
  jest.useFakeTimers();
});

afterAll(() => {
  jest.useRealTimers();
});

it('leaves a quick attempt without a claim on record, and puts that of a longer one there', async () => {
  const { deferred, job, jobs, worker, status } = await setup();
  await jest.advanceTimersByTimeAsync(99);
  await deferred.run();
  expect([job.isOnRecord, await status()]).toEqual([false, 'waiting']);

  await jest.advanceTimersByTimeAsync(1);
  await deferred.run();
  await jest.advanceTimersByTimeAsync(0);

  expect([job.isOnRecord, await status()]).toEqual([true, 'active']);
  expect(await jobs.held(worker.id)).toMatchObject([{ token: job.claim.token }]);
});

it('asks no more for an attempt that has lost its delivery, and waits for no answer', async () => {
  const { deferred, job, jobs, rival } = await setup();
  await rival();
  const claim = jest.spyOn(jobs, 'claim');
  await jest.advanceTimersByTimeAsync(200);
  await deferred.run();
  await jest.advanceTimersByTimeAsync(0);
  expect(job.wasStoppedBy('lease lost')).toBe(true);

  await deferred.run();
  expect(claim).toHaveBeenCalledTimes(1);

  const other = await setup();
  other.jobs.goDown();
  await jest.advanceTimersByTimeAsync(200);
  await expect(other.deferred.run()).resolves.toBeUndefined();
  other.jobs.comeBack();
  expect(await other.job.recording).toBe(true);
});

it('lets an attempt end whose handler has', async () => {
  const { deferred, job } = await setup();
  await jest.advanceTimersByTimeAsync(200);
  job.hasRun = true;

  await deferred.run();

  expect(job.isOnRecord).toBe(false);
});

it('leaves alone what waits for its place, and may be handed back', async () => {
  const { deferred, running, job } = await setup();
  running.end(job);
  const waiting = running.start(job.claim, Infinity);
  await jest.advanceTimersByTimeAsync(200);

  await deferred.run();

  expect(waiting.recording).toBeUndefined();
});

it('asks once, whoever needs it', async () => {
  const { deferred, job, jobs } = await setup();
  const claim = jest.spyOn(jobs, 'claim');

  expect(await Promise.all([deferred.make(job), deferred.make(job)])).toEqual([true, true]);
  expect(await deferred.make(job)).toBe(true);

  expect(claim).toHaveBeenCalledTimes(1);
});

it('stops an attempt whose delivery another worker has claimed', async () => {
  const { deferred, job, rival } = await setup();
  expect(await rival()).toMatchObject({ kind: 'claimed' });

  expect(await deferred.make(job)).toBe(false);

  expect(job.wasStoppedBy('lease lost')).toBe(true);
});

it('tells an attempt that its job was cancelled', async () => {
  const { deferred, job, jobs, id } = await setup();
  await jobs.cancel('default', id);

  expect(await deferred.make(job)).toBe(false);

  expect(job.wasStoppedBy('cancelled')).toBe(true);
});

it('claims what has started although its queue was paused meanwhile', async () => {
  const { deferred, job, jobs, status } = await setup();
  await jobs.pause('default');

  expect(await deferred.make(job)).toBe(true);
  expect(await status()).toBe('active');
});

it('is asked again after the record was away', async () => {
  const { deferred, job, jobs } = await setup();
  jobs.goDown();
  const made = deferred.make(job);
  await jest.advanceTimersByTimeAsync(40);
  expect(job.isOnRecord).toBe(false);

  jobs.comeBack();
  await jest.advanceTimersByTimeAsync(100);

  expect(await made).toBe(true);
});

it('is not missed by the comparison with the record before it is there, and is after', async () => {
  const { deferred, check, job, jobs } = await setup();
  await check.run();
  expect([job.isOnRecord, job.wasStopped]).toEqual([false, false]);

  await deferred.make(job);
  await jobs.release(job.claim, 'reaped');
  await check.run();

  expect(job.wasStoppedBy('lease lost')).toBe(true);
});
