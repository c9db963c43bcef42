import { aDraft } from '../../test/support/job-drafts.js';
import { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { InMemoryStatisticsRepository } from '../jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../jobs/statistics/job-activity.js';
import { GetStatsUseCase } from './get-stats.use-case.js';

const tenant = 'default';
const minutes = 60;

it('counts live jobs, and tells the drift', async () => {
  const jobs = new InMemoryJobRepository();
  await jobs.insert([aDraft(), aDraft({ delay: 1_000 })]);
  await jobs.addDrift({ lost: 2 });

  const stats = await new GetStatsUseCase(jobs, new InMemoryStatisticsRepository()).execute({
    tenant,
    minutes,
  });

  expect(stats.queues).toMatchObject([{ queue: 'default', waiting: 1, delayed: 1, active: 0 }]);
  expect(stats.drift).toMatchObject({ lost: 2, reaped: 0 });
  expect(stats.at).toEqual(expect.any(Date));
});

it('counts once for all who ask within a second, a tenant at a time', async () => {
  const jobs = new InMemoryJobRepository();
  const count = jest.spyOn(jobs, 'countLive');
  const getStats = new GetStatsUseCase(jobs, new InMemoryStatisticsRepository());

  await Promise.all([getStats.execute({ tenant, minutes }), getStats.execute({ tenant, minutes })]);
  await getStats.execute({ tenant: 'other', minutes });

  expect(count.mock.calls).toEqual([[tenant], ['other']]);
});

it('does not keep a failure', async () => {
  const jobs = new InMemoryJobRepository();
  const getStats = new GetStatsUseCase(jobs, new InMemoryStatisticsRepository());
  jobs.goDown();
  await expect(getStats.execute({ tenant, minutes })).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });

  jobs.comeBack();

  await expect(getStats.execute({ tenant, minutes })).resolves.toMatchObject({ queues: [] });
});

it('tells what became of jobs, over the minutes that are asked for', async () => {
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  activity.submitted([{ tenant, queue: 'default', type: 'demo' }]);
  await activity.save();
  statistics.advance(10 * 60_000);
  const getStats = new GetStatsUseCase(new InMemoryJobRepository(), statistics);

  const [short, long] = [
    await getStats.execute({ tenant, minutes: 5 }),
    await getStats.execute({ tenant, minutes: 15 }),
  ];

  expect(short).toMatchObject({ seconds: 300, types: [] });
  expect(long).toMatchObject({ seconds: 900, types: [{ type: 'demo', submitted: 1 }] });
});
