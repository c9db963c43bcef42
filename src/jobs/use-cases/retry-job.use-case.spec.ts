import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { aDraft } from '../../../test/support/job-drafts.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { Lanes } from '../delivery/lanes.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { LaneLeases } from '../delivery/lane-leases.js';
import { InMemoryJobQueue } from '../in-memory-job-queue.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { IllegalTransition, JobNotFound } from '../job.errors.js';
import { RetryJobUseCase } from './retry-job.use-case.js';

const lane = { queue: 'default', shard: 0 };

async function setup({ failed = true } = {}) {
  const jobs = new InMemoryJobRepository();
  const queue = new InMemoryJobQueue();
  const lanes = new Lanes(['default'], 1);
  const relay = new OutboxRelay(jobs, queue, new JobTypeRegistry([]), new LaneLeases(jobs, lanes));
  const [job] = await jobs.insert([aDraft({ tenant: 'a' })]);
  if (failed) {
    const claim = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
    await jobs.claim(claim);
    await jobs.settle({ ...claim, outcome: 'failed', error: { code: 'X', message: 'x' } });
  }
  return { jobs, queue, id: job!.id, retryJob: new RetryJobUseCase(jobs, relay) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('starts a new run, and takes it to the queue at once', async () => {
  const { retryJob, queue, id } = await setup();

  expect(await retryJob.execute({ tenant: 'a', id })).toMatchObject({ id, run: 2, status: 'waiting' });

  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(queue.take(lane)).toMatchObject({ jobId: id, delivery: 2 });
});

it('succeeds while the queue is down', async () => {
  const { retryJob, queue, id } = await setup();
  queue.goDown();

  expect(await retryJob.execute({ tenant: 'a', id })).toMatchObject({ run: 2 });
});

it('is refused to a job that has not failed', async () => {
  const { retryJob, jobs, id } = await setup({ failed: false });

  await expect(retryJob.execute({ tenant: 'a', id })).rejects.toBeInstanceOf(IllegalTransition);

  expect(await jobs.find('a', id)).toMatchObject({ run: 1, status: 'waiting' });
});

it('finds no job of another tenant', async () => {
  const { retryJob, id } = await setup();

  await expect(retryJob.execute({ tenant: 'b', id })).rejects.toBeInstanceOf(JobNotFound);
});
