import type { AppConfig } from '../../src/config/app-config.js';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { PendingSubmits } from '../../src/jobs/overload/pending-submits.js';
import { QueueAdmission } from '../../src/jobs/overload/queue-admission.js';
import type { QueueLimits } from '../../src/jobs/overload/queue-limits.js';
import { InMemoryStatisticsRepository } from '../../src/jobs/statistics/in-memory-statistics-repository.js';

/** As much of the configuration as an admission needs. */
export function limits({ maxDepth = 0, maxAge = 0 }: Partial<QueueLimits> = {}): AppConfig {
  return { submit: { maxDepth, maxAge } } as AppConfig;
}

/** What SubmitJobUseCase needs where no queue has a limit. */
export function withoutLimits(): [QueueAdmission, PendingSubmits] {
  const [jobs, statistics] = [new InMemoryJobRepository(), new InMemoryStatisticsRepository()];
  return [new QueueAdmission(jobs, statistics, limits()), new PendingSubmits()];
}
