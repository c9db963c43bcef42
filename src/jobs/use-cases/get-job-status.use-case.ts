import { Injectable } from '@nestjs/common';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Job, JobAttempt } from '../job.js';

/** Tells all that is on record of one job. */
@Injectable()
export class GetJobStatusUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @throws JobNotFound */
  async execute({
    tenant,
    id,
  }: {
    tenant: string;
    id: string;
  }): Promise<{ job: Job; attempts: JobAttempt[] }> {
    const [job, attempts] = await Promise.all([this.jobs.find(tenant, id), this.jobs.attempts(tenant, id)]);
    if (!job) throw new JobNotFound(id);
    return { job, attempts };
  }
}
