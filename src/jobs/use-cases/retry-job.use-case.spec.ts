import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { aDraft } from '../../../test/support/job-drafts.js';
import { z } from 'zod';
import { JobType, type JobHandler } from '../../job-types/job-type.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { Lanes } from '../delivery/lanes.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { LaneLeases } from '../delivery/lane-leases.js';
import { InMemoryJobQueue } from '../in-memory-job-queue.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { IllegalTransition, JobNotFound, ValidationFailed } from '../job.errors.js';
import { RetryJobUseCase } from './retry-job.use-case.js';

const data = z.strictObject({ n: z.number() });

@JobType({ name: 'task', data, example: { n: 1 } })
class Task implements JobHandler<typeof data> {
  run(): Promise<null> {
    return Promise.resolve(null);
  }
}

const lane = { queue: 'default', shard: 0 };

async function setup({ failed = true } = {}) {
  const jobs = new InMemoryJobRepository();
  const queue = new InMemoryJobQueue();
  const lanes = new Lanes(['default'], 1);
  const types = new JobTypeRegistry([Task]);
  const relay = new OutboxRelay(jobs, queue, types, new LaneLeases(jobs, lanes));
  const [job] = await jobs.insert([aDraft({ tenant: 'a', type: 'task', data: { n: 1 } })]);
  if (failed) {
    const claim = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
    await jobs.claim(claim);
    await jobs.settle({ ...claim, outcome: 'failed', error: { code: 'X', message: 'x' } });
  }
  return { jobs, queue, id: job!.id, retryJob: new RetryJobUseCase(jobs, types, relay) };
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

describe('with other data', () => {
  it('runs with that', async () => {
    const { retryJob, id } = await setup();

    expect(await retryJob.execute({ tenant: 'a', id, data: { n: 2 } })).toMatchObject({
      run: 2,
      data: { n: 2 },
    });
  });

  it('is refused what the type does not accept, and stays as it was', async () => {
    const { retryJob, jobs, id } = await setup();

    await expect(retryJob.execute({ tenant: 'a', id, data: { n: 'two' } })).rejects.toBeInstanceOf(
      ValidationFailed,
    );
    expect(await jobs.find('a', id)).toMatchObject({ status: 'failed', run: 1, data: { n: 1 } });
  });

  it('finds no job of another tenant', async () => {
    const { retryJob, id } = await setup();

    await expect(retryJob.execute({ tenant: 'b', id, data: { n: 2 } })).rejects.toBeInstanceOf(JobNotFound);
  });
});
