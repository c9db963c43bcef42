import { InMemoryJobRepository } from '../in-memory-job-repository.js';
import { Drift } from './drift.js';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

it('is kept in the record every second, as one write', async () => {
  const jobs = new InMemoryJobRepository();
  const add = jest.spyOn(jobs, 'addDrift');
  const drift = new Drift(jobs);
  drift.onApplicationBootstrap();
  drift.add('lost', 2);
  drift.add('lost');
  drift.add('repaired', 0);

  await jest.advanceTimersByTimeAsync(3_000);

  expect(add.mock.calls).toEqual([[{ lost: 3 }]]);
  await drift.beforeApplicationShutdown();
});

it('waits for a record that is away', async () => {
  const jobs = new InMemoryJobRepository();
  const drift = new Drift(jobs);
  drift.onApplicationBootstrap();
  jobs.goDown();
  drift.add('reaped', 2);
  await jest.advanceTimersByTimeAsync(2_000);
  drift.add('reaped');
  jobs.comeBack();

  await jest.advanceTimersByTimeAsync(1_000);

  expect(await jobs.drift()).toMatchObject({ reaped: 3 });
  await drift.beforeApplicationShutdown();
});
