import { Injectable } from '@nestjs/common';
import { JobRepository, type JobHistory } from '../job-repository.js';
import { isOver } from '../job.js';
import { JobWatcher } from '../watching/job-watcher.js';
import { GetJobStatusUseCase } from './get-job-status.use-case.js';

export interface WaitForJobInput {
  tenant: string;
  id: string;
  /** ms */
  atMost: number;
  /** Nobody waits any longer. */
  signal?: AbortSignal;
}

/** Tells all that is on record of a job once it is over, or when the time is. */
@Injectable()
export class WaitForJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly getJobStatus: GetJobStatusUseCase,
    private readonly watcher: JobWatcher,
  ) {}

  /** @throws JobNotFound */
  async execute({ tenant, id, atMost, signal }: WaitForJobInput): Promise<JobHistory> {
    const history = await this.getJobStatus.execute({ tenant, id });
    if (isOver(history.job.status)) return history;

    const timeout = AbortSignal.timeout(atMost);
    for await (const { status } of this.watcher.follow(
      id,
      signal ? AbortSignal.any([signal, timeout]) : timeout,
    )) {
      if (isOver(status)) break;
    }
    return (await this.jobs.history(tenant, id)) ?? history;
  }
}
