import { Injectable } from '@nestjs/common';
import { JobRepository, type JobFilter } from '../job-repository.js';
import type { Job } from '../job.js';

export interface ListJobsInput {
  tenant: string;
  filter: JobFilter;
  limit: number;
  /** Id of the last job seen. */
  before?: string;
}

/** Lists jobs, newest first, a page at a time. */
@Injectable()
export class ListJobsUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @returns `next`: the id to go on from, absent on the last page */
  async execute({ tenant, filter, limit, before }: ListJobsInput): Promise<{ items: Job[]; next?: string }> {
    const jobs = await this.jobs.list(tenant, filter, { limit: limit + 1, before });
    const items = jobs.slice(0, limit);
    return jobs.length > limit ? { items, next: items.at(-1)?.id } : { items };
  }
}
