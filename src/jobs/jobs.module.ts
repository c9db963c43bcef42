import { Module } from '@nestjs/common';
import { Drift } from './delivery/drift.js';
import { Expiry } from './delivery/expiry.js';
import { OutboxRelay } from './delivery/outbox-relay.js';
import { Reconciler } from './delivery/reconciler.js';
import { LaneLeases } from './delivery/lane-leases.js';
import { PendingSubmits } from './overload/pending-submits.js';
import { QueueAdmission } from './overload/queue-admission.js';
import { JobActivity } from './statistics/job-activity.js';
import { CancelJobUseCase } from './use-cases/cancel-job.use-case.js';
import { FollowJobUseCase } from './use-cases/follow-job.use-case.js';
import { GetJobLogsUseCase } from './use-cases/get-job-logs.use-case.js';
import { GetJobStatusUseCase } from './use-cases/get-job-status.use-case.js';
import { ListJobsUseCase } from './use-cases/list-jobs.use-case.js';
import { RetryJobUseCase } from './use-cases/retry-job.use-case.js';
import { RunJobNowUseCase } from './use-cases/run-job-now.use-case.js';
import { SubmitJobUseCase } from './use-cases/submit-job.use-case.js';
import { WaitForJobUseCase } from './use-cases/wait-for-job.use-case.js';
import { JobWatcher } from './watching/job-watcher.js';

const useCases = [
  SubmitJobUseCase,
  GetJobStatusUseCase,
  GetJobLogsUseCase,
  ListJobsUseCase,
  RetryJobUseCase,
  CancelJobUseCase,
  RunJobNowUseCase,
  WaitForJobUseCase,
  FollowJobUseCase,
];

/**
 * What other modules ask of jobs, and the way of committed work to the queue. The ports (JobRepository,
 * StatisticsRepository, JobQueue), the catalogue of job types and the lanes are global, provided by the process's own
 * module.
 */
@Module({
  providers: [
    ...useCases,
    Drift,
    Expiry,
    JobActivity,
    JobWatcher,
    LaneLeases,
    OutboxRelay,
    PendingSubmits,
    QueueAdmission,
    Reconciler,
  ],
  exports: [...useCases, Drift, JobActivity, PendingSubmits, QueueAdmission],
})
export class JobsModule {}
