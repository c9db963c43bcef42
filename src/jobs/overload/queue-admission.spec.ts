import { Logger } from '@nestjs/common';
import { limits } from '../../../test/support/admission.js';
import { aDraft } from '../../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { QueueFull } from '../job.errors.js';
import { InMemoryStatisticsRepository } from '../statistics/in-memory-statistics-repository.js';
import { QueueAdmission } from './queue-admission.js';
import type { QueueLimits } from './queue-limits.js';

/** The process's clock, from which the age of a count is told. */
let now = 1_000_000;

beforeAll(() => {
  Logger.overrideLogger(false);
});
beforeEach(() => jest.spyOn(performance, 'now').mockImplementation(() => now));
afterEach(() => jest.restoreAllMocks());

function setup(config: Partial<QueueLimits>) {
  const jobs = new InMemoryJobRepository();
  const statistics = new InMemoryStatisticsRepository();
  const admission = new QueueAdmission(jobs, statistics, limits(config));
  const fill = (waiting: number, queue = 'default') =>
    jobs.insert(Array.from({ length: waiting }, () => aDraft({ queue })));
  return { jobs, statistics, admission, fill };
}

/** Lets what was begun and not waited for end. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

it('refuses for the queue that holds too many, and for no other', async () => {
  const { admission, fill } = setup({ maxDepth: 2 });
  await fill(3);

  const refusal = await admission
    .admit([aDraft({ queue: 'mail' }), aDraft()])
    .catch((error: unknown) => error);

  expect(refusal).toBeInstanceOf(QueueFull);
  expect(refusal).toMatchObject({ fill: { queue: 'default', depth: 3, maxDepth: 2 }, retryAfter: 30 });
  await expect(admission.admit([aDraft({ queue: 'mail' })])).resolves.toBeUndefined();
  expect(admission.refused).toBe(1);
});

it('refuses for the queue whose oldest job waits for too long', async () => {
  const { admission, jobs, fill } = setup({ maxAge: 1_000 });
  await fill(1);
  jobs.advance(1_001);

  await expect(admission.admit([aDraft()])).rejects.toMatchObject({ fill: { oldestWaiting: 1_001 } });
});

it('does not count what is not due', async () => {
  const { admission, jobs } = setup({ maxDepth: 1 });
  await jobs.insert([aDraft({ delay: 1_000 }), aDraft({ delay: 1_000 }), aDraft()]);

  await expect(admission.admit([aDraft()])).resolves.toBeUndefined();
});

it('tells how long the excess takes at the rate of the last minute', async () => {
  const { admission, statistics, fill } = setup({ maxDepth: 2 });
  const none = { submitted: 0, retried: 0, deliveries: 0, slotMs: 0, wait: [], run: [] };
  await statistics.add([
    { ...none, tenant: 'default', queue: 'default', type: 'demo', completed: 50, failed: 10 },
  ]);
  await fill(12);

  await expect(admission.admit([aDraft()])).rejects.toMatchObject({ retryAfter: 10 });
});

it('counts once for all submits of half a second, and goes by the last count while it counts again', async () => {
  const { admission, jobs, fill } = setup({ maxDepth: 2 });
  const count = jest.spyOn(jobs, 'countLive');

  await Promise.all([admission.admit([aDraft()]), admission.admit([aDraft()])]);
  await fill(3);
  now += 499;
  await admission.admit([aDraft()]);
  expect(count).toHaveBeenCalledTimes(1);

  now += 1;
  await admission.admit([aDraft()]);
  await turn();
  expect(count).toHaveBeenCalledTimes(2);
  await expect(admission.admit([aDraft()])).rejects.toBeInstanceOf(QueueFull);
});

it('counts before it answers where the last count is too old', async () => {
  const { admission, fill } = setup({ maxDepth: 2 });
  await admission.admit([aDraft()]);
  await fill(3);
  now += 5_000;

  await expect(admission.admit([aDraft()])).rejects.toBeInstanceOf(QueueFull);
});

it('goes by the last count while the record does not answer, and then admits', async () => {
  const { admission, jobs, fill } = setup({ maxDepth: 2 });
  await fill(3);
  await expect(admission.admit([aDraft()])).rejects.toBeInstanceOf(QueueFull);
  jobs.goDown();

  now += 4_999;
  await expect(admission.admit([aDraft()])).rejects.toBeInstanceOf(QueueFull);
  await turn();
  now += 1;

  await expect(admission.admit([aDraft()])).resolves.toBeUndefined();
});

it('waits half a second for a first count, and admits without it', async () => {
  const { admission, jobs } = setup({ maxDepth: 2 });
  jest.spyOn(jobs, 'countLive').mockReturnValue(new Promise(() => undefined));

  await expect(admission.admit([aDraft()])).resolves.toBeUndefined();
});

it('counts nothing without limits', async () => {
  const { admission, jobs } = setup({});
  const count = jest.spyOn(jobs, 'countLive');

  await admission.admit([aDraft()]);

  expect(count).not.toHaveBeenCalled();
});
