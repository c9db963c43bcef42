import type { Claim } from '../job-repository.js';
import { quantile } from './histogram.js';
import { InMemoryStatisticsRepository } from './in-memory-statistics-repository.js';
import { JobActivity } from './job-activity.js';

const tenant = 'default';
const claim: Claim = {
  ...{ jobId: 'a', delivery: 1, token: 't', tenant, type: 'demo', queue: 'mail', data: null },
  ...{ run: 1, attempt: 1, attempts: 3, backoff: { kind: 'fixed', delay: 0 }, timeout: 1_000 },
  ...{ crashes: 0, waited: 40 },
};
const failure = { outcome: 'failed', error: { code: 'HANDLER_ERROR', message: 'no' } } as const;

function setup() {
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  const saved = async (whose = tenant) => {
    await activity.save();
    return (await statistics.read(whose, 1)).types;
  };
  return { statistics, activity, saved };
}

it('counts what is submitted, how attempts end, and how long they wait, run and take up a worker', async () => {
  const { activity, saved } = setup();
  activity.submitted([claim, claim, { ...claim, type: 'other' }]);
  for (const settlement of [
    { ...claim, outcome: 'completed', result: null } as const,
    { ...claim, ...failure },
    { ...claim, ...failure, retryIn: 5 },
  ]) {
    activity.started(claim);
    activity.settled(claim, settlement, 100);
    activity.left(claim, 110);
  }

  const [demo, other] = await saved();

  expect(demo).toMatchObject({
    queue: 'mail',
    type: 'demo',
    submitted: 2,
    completed: 1,
    failed: 1,
    retried: 1,
  });
  expect(demo).toMatchObject({ deliveries: 3, slotMs: 330 });
  expect(quantile(demo!.wait, 0.5)).toBeCloseTo(40, -1);
  expect(quantile(demo!.run, 0.5)).toBeCloseTo(100, -1);
  expect(other).toMatchObject({ type: 'other', submitted: 1, completed: 0 });
});

it('hands over each thing once', async () => {
  const { activity, saved } = setup();
  activity.submitted([claim]);
  await saved();

  activity.submitted([claim]);
  await saved();

  expect(await saved()).toMatchObject([{ submitted: 2 }]);
});

it('keeps what an outage does not let it hand over, beside what comes meanwhile', async () => {
  const { activity, statistics, saved } = setup();
  activity.submitted([claim]);
  activity.started(claim);
  statistics.goDown();
  await activity.save();
  activity.submitted([claim]);
  activity.started(claim);

  statistics.comeBack();

  const [demo] = await saved();
  expect(demo!.submitted).toBe(2);
  expect(demo!.wait.reduce((sum, n) => sum + n)).toBe(2);
});

it('keeps tenants apart', async () => {
  const { activity, saved } = setup();
  activity.submitted([{ ...claim, tenant: 'other' }]);

  expect(await saved()).toEqual([]);
  expect(await saved('other')).toHaveLength(1);
});

it('hands over the rest at shutdown', async () => {
  const { activity, statistics } = setup();
  activity.onApplicationBootstrap();
  activity.submitted([claim]);

  await activity.beforeApplicationShutdown();

  expect((await statistics.read(tenant, 1)).types).toMatchObject([{ submitted: 1 }]);
});
