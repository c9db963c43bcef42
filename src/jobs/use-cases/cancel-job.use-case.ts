import { Injectable } from '@nestjs/common';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';

/**
 * Ends a job that is not over, for good unless somebody retries it. The record decides at once; the worker that runs it
 * notices within a second and aborts the attempt's signal, and what an attempt that ignores it still brings is refused.
 */
@Injectable()
export class CancelJobUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @throws JobNotFound, IllegalTransition */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<Job> {
    const job = await this.jobs.cancel(tenant, id);
    if (!job) throw new JobNotFound(id);
    return job;
  }
}
