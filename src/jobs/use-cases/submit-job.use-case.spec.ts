import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { withoutLimits } from '../../../test/support/admission.js';
import { fixed } from '../../job-types/backoff.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { JobType, type JobHandler } from '../../job-types/job-type.js';
import { Lanes } from '../delivery/lanes.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { LaneLeases } from '../delivery/lane-leases.js';
import { InMemoryJobQueue } from '../in-memory-job-queue.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import {
  ContradictoryOptions,
  IdempotencyKeyReused,
  RecordUnavailable,
  ValidationFailed,
} from '../job.errors.js';
import { MAX_DATA_LENGTH } from '../limits.js';
import { InMemoryStatisticsRepository } from '../statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../statistics/job-activity.js';
import { SubmitJobUseCase, type SubmitOptions } from './submit-job.use-case.js';

const data = z.strictObject({ to: z.email(), body: z.string().optional(), copies: z.int().default(1) });

@JobType({
  name: 'send_email',
  data,
  example: { to: 'ann@example.org' },
  queue: 'mail',
  attempts: 5,
  backoff: fixed('2s'),
  timeout: '30s',
})
class SendEmail implements JobHandler<typeof data> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const tenant = 'default';
const lane = { queue: 'mail', shard: 0 };
const anEmail = { tenant, type: 'send_email', data: { to: 'ann@example.org' } };

function setup() {
  const jobs = new InMemoryJobRepository();
  const queue = new InMemoryJobQueue();
  const types = new JobTypeRegistry([SendEmail]);
  const lanes = new Lanes(['mail'], 1);
  const relay = new OutboxRelay(jobs, queue, types, new LaneLeases(jobs, lanes));
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  const submitJob = new SubmitJobUseCase(types, jobs, relay, activity, ...withoutLimits());
  return { jobs, queue, relay, statistics, activity, submitJob };
}

/** Lets what was begun and not waited for go on. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function violations(call: Promise<unknown>): Promise<string[]> {
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ValidationFailed);
  return (error as ValidationFailed).errors.map(({ path }) => path);
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('counts what is new, and no replay', async () => {
  const { submitJob, activity, statistics } = setup();
  await submitJob.execute({ ...anEmail, idempotencyKey: 'k' });
  await submitJob.execute({ ...anEmail, idempotencyKey: 'k' });

  await activity.save();

  expect((await statistics.read(tenant, 1)).types).toMatchObject([
    { queue: 'mail', type: 'send_email', submitted: 1 },
  ]);
});

describe('one job', () => {
  it('is on record when it is answered, and soon in the queue', async () => {
    const { submitJob, jobs, queue } = setup();

    const job = await submitJob.execute(anEmail);

    expect(await jobs.find(tenant, job.id)).toEqual(job);
    await turns();
    expect(queue.take(lane)).toMatchObject({ jobId: job.id, delivery: 1, type: 'send_email' });
  });

  it('answers while the queue is down, and leaves the job to the relay', async () => {
    const { submitJob, jobs, queue, relay } = setup();
    queue.goDown();

    const { id } = await submitJob.execute(anEmail);

    await turns();
    expect(await jobs.find(tenant, id)).toMatchObject({ status: 'waiting', enqueuedAt: null });
    queue.comeBack();
    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(queue.take(lane)).toMatchObject({ jobId: id });
  });

  it('is not accepted while the record is down', async () => {
    const { submitJob, jobs, queue } = setup();
    jobs.goDown();

    await expect(submitJob.execute(anEmail)).rejects.toBeInstanceOf(RecordUnavailable);

    jobs.comeBack();
    await turns();
    expect(await jobs.list(tenant, {}, { limit: 1 })).toEqual([]);
    expect(await queue.depth(lane)).toBe(0);
  });

  it('in a transaction of the caller exists once that commits, and is left to the relay', async () => {
    const { submitJob, jobs, queue, relay } = setup();

    const { id } = await jobs.transaction(async (manager) => {
      const job = await submitJob.execute(anEmail, { manager });
      const [second] = await submitJob.executeMany(tenant, [anEmail], undefined, { manager });
      expect([await jobs.find(tenant, job.id), await jobs.find(tenant, second!.id)]).toEqual([
        undefined,
        undefined,
      ]);
      return job;
    });

    expect(await jobs.list(tenant, {}, { limit: 10 })).toHaveLength(2);
    await turns();
    expect(await queue.depth(lane)).toBe(0);
    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(queue.take(lane)).toMatchObject({ jobId: id });
  });

  it('never exists where the transaction of the caller is rolled back', async () => {
    const { submitJob, jobs, queue, relay } = setup();

    const rolledBack = jobs.transaction(async (manager) => {
      await submitJob.execute(anEmail, { manager });
      throw new Error('changed my mind');
    });

    await expect(rolledBack).rejects.toThrow('changed my mind');
    jobs.advance(1_000);
    await relay.relayBacklogs();
    expect(await jobs.list(tenant, {}, { limit: 10 })).toEqual([]);
    expect(await queue.depth(lane)).toBe(0);
  });

  it('is validated in a transaction as anywhere, and takes no idempotency key there', async () => {
    const { submitJob, jobs } = setup();

    await jobs.transaction(async (manager) => {
      const wrong = { ...anEmail, data: { to: 'nobody' } };
      expect(await violations(submitJob.execute(wrong, { manager }))).toEqual(['data.to']);
      const many = submitJob.executeMany(tenant, [anEmail, wrong], undefined, { manager });
      expect(await violations(many)).toEqual(['jobs.1.data.to']);
      const keyed = { ...anEmail, idempotencyKey: 'k' };
      expect(await violations(submitJob.execute(keyed, { manager }))).toEqual(['idempotencyKey']);
      const manyKeyed = submitJob.executeMany(tenant, [anEmail], 'k', { manager });
      expect(await violations(manyKeyed)).toEqual(['idempotencyKey']);
    });

    expect(await jobs.list(tenant, {}, { limit: 1 })).toEqual([]);
  });

  it('keeps the data as they were sent, not as the schema reads them', async () => {
    const { submitJob } = setup();

    expect((await submitJob.execute(anEmail)).data).toEqual({ to: 'ann@example.org' });
  });

  it('gets its queue and its options from the type, unless the submit says otherwise', async () => {
    const { submitJob } = setup();

    const plain = await submitJob.execute({ ...anEmail, options: { priority: undefined } });
    const special = await submitJob.execute({
      ...anEmail,
      options: { priority: 0, attempts: 1, timeout: 10, backoff: fixed(0) },
    });

    expect(plain).toMatchObject({
      queue: 'mail',
      options: { priority: 100, attempts: 5, timeout: 30_000, backoff: fixed('2s') },
    });
    expect(special.options).toEqual({ priority: 0, attempts: 1, timeout: 10, backoff: fixed(0) });
  });

  it('waits for its delay or its moment, and not in the queue', async () => {
    const { submitJob, queue } = setup();
    const runAt = new Date('2999-01-01');

    expect(await submitJob.execute({ ...anEmail, options: { delay: 5_000 } })).toMatchObject({
      status: 'delayed',
    });
    expect(await submitJob.execute({ ...anEmail, options: { runAt } })).toMatchObject({
      status: 'delayed',
      runAt,
    });

    await turns();
    expect(await queue.depth(lane)).toBe(0);
  });

  it.each([
    ['an unknown type', { type: 'send_fax' }, ['type']],
    ['data that break the schema', { data: { to: 'ann', cc: 'bob' } }, ['data.to', 'data.cc']],
    ['no data', { data: undefined }, ['data']],
    ['data that cannot be kept', { data: { to: 'ann@example.org', body: 'a\u0000' } }, ['data.body']],
    [
      'more data than a job may carry',
      { data: { to: 'ann@example.org', body: 'x'.repeat(MAX_DATA_LENGTH) } },
      ['data'],
    ],
  ])('is refused for %s, and leaves nothing behind', async (_what, wrong, paths) => {
    const { submitJob, jobs } = setup();

    expect(await violations(submitJob.execute({ ...anEmail, ...wrong }))).toEqual(paths);

    expect(await jobs.list(tenant, {}, { limit: 1 })).toEqual([]);
  });
});

describe('many jobs', () => {
  it('come back in the order in which they were sent', async () => {
    const { submitJob, jobs, queue } = setup();
    const sent = ['a', 'b', 'c'].map((name) => ({ ...anEmail, data: { to: `${name}@example.org` } }));

    const accepted = await submitJob.executeMany(tenant, sent);

    expect(accepted.map((job) => job.data)).toEqual(sent.map((job) => job.data));
    expect(await jobs.list(tenant, {}, { limit: 10 })).toHaveLength(3);
    await turns();
    expect(await queue.depth(lane)).toBe(3);
  });

  it('are refused all together, and every fault of each is named by its place', async () => {
    const { submitJob, jobs } = setup();

    const call = submitJob.executeMany(tenant, [
      anEmail,
      { type: 'send_fax', data: null },
      anEmail,
      { ...anEmail, data: { to: 'ann', cc: 'bob' } },
    ]);

    expect(await violations(call)).toEqual(['jobs.1.type', 'jobs.3.data.to', 'jobs.3.data.cc']);
    expect(await jobs.list(tenant, {}, { limit: 1 })).toEqual([]);
  });

  it('may be none', async () => {
    expect(await setup().submitJob.executeMany(tenant, [])).toEqual([]);
  });
});

describe('an idempotency key', () => {
  const idempotencyKey = 'order 42';
  const twoEmails = [anEmail, { ...anEmail, data: { to: 'bob@example.org' } }];

  it('makes one job, however often it is sent, and hands it to the queue once', async () => {
    const { submitJob, jobs, queue } = setup();

    const first = await submitJob.execute({ ...anEmail, idempotencyKey });
    const again = await submitJob.execute({ ...anEmail, idempotencyKey });

    expect(first.replayed).toBeUndefined();
    expect(again).toEqual({ ...first, replayed: true });
    expect(await jobs.list(tenant, {}, { limit: 10 })).toHaveLength(1);
    await turns();
    expect(await queue.depth(lane)).toBe(1);
  });

  it('makes the jobs of a list together', async () => {
    const { submitJob, jobs } = setup();

    const first = await submitJob.executeMany(tenant, twoEmails, idempotencyKey);
    const again = await submitJob.executeMany(tenant, twoEmails, idempotencyKey);

    expect(again).toEqual(first.map((job) => ({ ...job, replayed: true })));
    expect(await jobs.list(tenant, {}, { limit: 10 })).toHaveLength(2);
  });

  it.each([
    ['other data', { data: { to: 'bob@example.org' } }],
    ['an option more', { options: { priority: 100 } }],
    ['another moment', { options: { runAt: new Date('2999-01-02') } }],
  ])('is refused with %s', async (_what, change) => {
    const { submitJob } = setup();
    await submitJob.execute({ ...anEmail, idempotencyKey });

    const call = submitJob.execute({ ...anEmail, ...change, idempotencyKey });

    await expect(call).rejects.toBeInstanceOf(IdempotencyKeyReused);
  });

  it('takes the same request written in another way for the same', async () => {
    const { submitJob } = setup();
    const data = { to: 'ann@example.org', copies: 2 };
    const { id } = await submitJob.execute({ ...anEmail, data, idempotencyKey });

    const again = await submitJob.execute({
      ...anEmail,
      data: { copies: 2, to: 'ann@example.org', body: undefined },
      options: { priority: undefined },
      idempotencyKey,
    });

    expect(again).toMatchObject({ id, replayed: true });
  });

  it('does not stand for one job and for a list of one', async () => {
    const { submitJob } = setup();
    await submitJob.execute({ ...anEmail, idempotencyKey });

    const call = submitJob.executeMany(tenant, [anEmail], idempotencyKey);

    await expect(call).rejects.toBeInstanceOf(IdempotencyKeyReused);
  });

  it('is not used up by a request that is refused', async () => {
    const { submitJob, jobs } = setup();
    expect(await violations(submitJob.execute({ ...anEmail, data: { to: 'ann' }, idempotencyKey }))).toEqual([
      'data.to',
    ]);
    jobs.goDown();
    await expect(submitJob.execute({ ...anEmail, idempotencyKey })).rejects.toBeInstanceOf(RecordUnavailable);
    jobs.comeBack();

    expect((await submitJob.execute({ ...anEmail, idempotencyKey })).replayed).toBeUndefined();
  });

  it.each(['', 'x'.repeat(256), 'ключ', 'a\nb', 'a\u0000'])(
    'is refused where it is none: %j',
    async (key) => {
      const { submitJob } = setup();

      expect(await violations(submitJob.execute({ ...anEmail, idempotencyKey: key }))).toEqual([
        'idempotencyKey',
      ]);
      expect(await violations(submitJob.executeMany(tenant, twoEmails, key))).toEqual(['idempotencyKey']);
    },
  );
});

describe('options', () => {
  const contradiction = async (call: Promise<unknown>): Promise<string[]> => {
    const error = await call.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ContradictoryOptions);
    return (error as ContradictoryOptions).errors.map(({ path }) => path);
  };
  const [soon, later] = [new Date('2030-01-01'), new Date('2030-01-02')];

  it.each<[SubmitOptions, string]>([
    [{ delay: 1, runAt: soon }, 'options.runAt'],
    [{ runAt: later, expiresAt: soon }, 'options.expiresAt'],
    [{ runAt: soon, expiresAt: soon }, 'options.expiresAt'],
    [{ onDuplicate: 'return' }, 'options.onDuplicate'],
  ])('that contradict each other are refused: %j', async (options, path) => {
    const { submitJob } = setup();

    expect(await contradiction(submitJob.execute({ ...anEmail, options }))).toEqual([path]);
    expect(await contradiction(submitJob.executeMany(tenant, [anEmail, { ...anEmail, options }]))).toEqual([
      `jobs.1.${path}`,
    ]);
  });

  it('say once how a job may be repeated', async () => {
    const { submitJob } = setup();
    const options = { dedupeKey: 'k' };

    const refused = submitJob.execute({ ...anEmail, options, idempotencyKey: 'i' });

    expect(await contradiction(refused)).toEqual(['options.dedupeKey']);
  });

  it('that are wrong in themselves go before those that contradict each other', async () => {
    const { submitJob } = setup();

    const refused = submitJob.executeMany(tenant, [
      { ...anEmail, data: {} },
      { ...anEmail, options: { onDuplicate: 'return' } },
    ]);

    expect(await violations(refused)).toEqual(['jobs.0.data.to', 'jobs.1.options.onDuplicate']);
    await expect(refused).rejects.not.toBeInstanceOf(ContradictoryOptions);
  });

  it('are kept with the job', async () => {
    const { submitJob } = setup();
    const options = { runAt: soon, expiresAt: later, tags: ['a', 'b'], dedupeKey: 'k' };

    expect(await submitJob.execute({ ...anEmail, options })).toMatchObject(options);
  });

  it('do not take a job to the queue again that was there before', async () => {
    const { submitJob, queue } = setup();
    const options = { dedupeKey: 'k', onDuplicate: 'return' as const };
    const { id } = await submitJob.execute({ ...anEmail, options });
    await turns();

    expect(await submitJob.execute({ ...anEmail, options })).toMatchObject({ id, duplicate: true });

    await turns();
    expect(queue.take(lane)).toMatchObject({ jobId: id });
    expect(queue.take(lane)).toBeUndefined();
  });
});
