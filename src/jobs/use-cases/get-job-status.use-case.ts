import { Injectable } from '@nestjs/common';
import { JobNotFound } from '../job.errors.js';
import { JobRepository, type JobHistory } from '../job-repository.js';

/** Tells all that is on record of one job. */
@Injectable()
export class GetJobStatusUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @throws JobNotFound */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<JobHistory> {
    const history = await this.jobs.history(tenant, id);
    if (!history) throw new JobNotFound(id);
    return history;
  }
}
