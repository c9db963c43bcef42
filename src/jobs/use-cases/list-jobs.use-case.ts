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

/** Jobs that a page looks at for a filter without an index: some tens of ms. */
const SCAN = 20_000;

/** Lists jobs, newest first, a page at a time. */
@Injectable()
export class ListJobsUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @returns `next`: the id to go on from, absent on the last page. A page may be short and have a next one. */
  async execute({ tenant, filter, limit, before }: ListJobsInput): Promise<{ items: Job[]; next?: string }> {
    const { jobs, next } = await this.jobs.page(tenant, filter, { limit, before, scan: SCAN });
    return { items: jobs, next };
  }
}
