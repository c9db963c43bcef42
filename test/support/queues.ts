import { Lanes } from '../../src/jobs/delivery/lanes.js';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { InMemoryStatisticsRepository } from '../../src/jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../../src/jobs/statistics/job-activity.js';
import { QueueOverview } from '../../src/queues/queue-overview.js';
import { GetStatsUseCase } from '../../src/stats/get-stats.use-case.js';
import { InMemoryWorkerRepository } from '../../src/workers/in-memory-worker-repository.js';
import { ListWorkersUseCase } from '../../src/workers/list-workers.use-case.js';

/** An installation of twins whose job types use these queues. */
export function queuesOf(...names: string[]) {
  const jobs = new InMemoryJobRepository();
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  const workers = new InMemoryWorkerRepository(jobs);
  const listWorkers = new ListWorkersUseCase(workers);
  const getStats = new GetStatsUseCase(jobs, statistics);
  const overview = new QueueOverview(jobs, new Lanes(names, 4), getStats, listWorkers);
  return { jobs, statistics, activity, workers, listWorkers, overview };
}
