import { aDraft } from '../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { GetStatsUseCase } from './get-stats.use-case.js';

const tenant = 'default';

it('counts live jobs, and tells the drift', async () => {
  const jobs = new InMemoryJobRepository();
  await jobs.insert([aDraft(), aDraft({ delay: 1_000 })]);
  await jobs.addDrift({ lost: 2 });

  const stats = await new GetStatsUseCase(jobs).execute({ tenant });

  expect(stats.queues).toMatchObject([{ queue: 'default', waiting: 1, delayed: 1, active: 0 }]);
  expect(stats.drift).toMatchObject({ lost: 2, reaped: 0 });
  expect(stats.at).toEqual(expect.any(Date));
});

it('counts once for all who ask within a second, a tenant at a time', async () => {
  const jobs = new InMemoryJobRepository();
  const count = jest.spyOn(jobs, 'countLive');
  const getStats = new GetStatsUseCase(jobs);

  await Promise.all([getStats.execute({ tenant }), getStats.execute({ tenant })]);
  await getStats.execute({ tenant: 'other' });

  expect(count.mock.calls).toEqual([[tenant], ['other']]);
});

it('does not keep a failure', async () => {
  const jobs = new InMemoryJobRepository();
  const getStats = new GetStatsUseCase(jobs);
  jobs.goDown();
  await expect(getStats.execute({ tenant })).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });

  jobs.comeBack();

  await expect(getStats.execute({ tenant })).resolves.toMatchObject({ queues: [] });
});
