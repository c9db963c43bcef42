import { Injectable } from '@nestjs/common';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { JobLogLine } from '../job.js';

export interface GetJobLogsInput {
  tenant: string;
  id: string;
  limit: number;
  /** The last line seen. */
  afterSeq?: number;
}

/** Reads what a job's handler logged, oldest first. */
@Injectable()
export class GetJobLogsUseCase {
  constructor(private readonly jobs: JobRepository) {}

  /** @returns `next`: where to go on, absent at the end. @throws JobNotFound */
  async execute({
    tenant,
    id,
    limit,
    afterSeq = 0,
  }: GetJobLogsInput): Promise<{ items: JobLogLine[]; next?: number }> {
    const [job, lines] = await Promise.all([
      this.jobs.find(tenant, id),
      this.jobs.logs(tenant, id, { afterSeq, limit: limit + 1 }),
    ]);
    if (!job) throw new JobNotFound(id);

    const items = lines.slice(0, limit);
    return lines.length > limit ? { items, next: items.at(-1)?.seq } : { items };
  }
}
