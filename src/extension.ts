/**
 * What a module outside this repository may build on: `import … from 'job-queue-platform/extension'`. It is the running
 * platform's own code, not a copy, so what is exported here can be injected. docs/job-types.md shows its use.
 */
export { AppConfig } from './config/app-config.js';
export { exponential, fixed } from './job-types/backoff.js';
export type { Duration } from './job-types/duration.js';
export { JobType, type JobContext, type JobHandler, type JobTypeOptions } from './job-types/job-type.js';
export { JobTypesModule, type JobTypesDeclaration } from './job-types/job-types.module.js';
export { DataSource, type EntityManager } from 'typeorm';
export { inSettlement } from './persistence/in-settlement.js';
export type { JobFilter } from './jobs/job-repository.js';
export {
  IllegalTransition,
  JobNotFound,
  Overloaded,
  PermanentFailure,
  QueueFull,
  RecordUnavailable,
  RetryableFailure,
  ValidationFailed,
  type Violation,
} from './jobs/job.errors.js';
export type {
  Backoff,
  Job,
  JobAttempt,
  JobError,
  JobLogLine,
  JobOptions,
  JobProgress,
  JobStatus,
  Json,
} from './jobs/job.js';
export { JobsModule } from './jobs/jobs.module.js';
export { CancelJobUseCase } from './jobs/use-cases/cancel-job.use-case.js';
export { GetJobLogsUseCase, type GetJobLogsInput } from './jobs/use-cases/get-job-logs.use-case.js';
export { GetJobStatusUseCase } from './jobs/use-cases/get-job-status.use-case.js';
export { ListJobsUseCase, type ListJobsInput } from './jobs/use-cases/list-jobs.use-case.js';
export { RetryJobUseCase, type RetryJobInput } from './jobs/use-cases/retry-job.use-case.js';
export { FollowJobUseCase, type FollowJobInput, type JobNews } from './jobs/use-cases/follow-job.use-case.js';
export { WaitForJobUseCase, type WaitForJobInput } from './jobs/use-cases/wait-for-job.use-case.js';
export { RunJobNowUseCase } from './jobs/use-cases/run-job-now.use-case.js';
export {
  SubmitJobUseCase,
  type SubmitJobInput,
  type SubmitOptions,
  type Within,
} from './jobs/use-cases/submit-job.use-case.js';
