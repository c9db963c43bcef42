import { Injectable } from '@nestjs/common';
import { JobRepository } from '../jobs/job-repository.js';
import { QueueOverview } from './queue-overview.js';
import type { QueueState } from './queue-state.js';

/**
 * Lets no job of a queue start, whoever it belongs to, until somebody resumes it: the pause is on record, so that it
 * outlasts restarts and a wiped Redis. Submits are accepted, and what runs goes on to its end. Idempotent.
 */
@Injectable()
export class PauseQueueUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly overview: QueueOverview,
  ) {}

  /** @throws QueueNotFound */
  async execute({ tenant, name }: { tenant: string; name: string }): Promise<QueueState> {
    await this.overview.one(tenant, name);
    await this.jobs.pause(name);
    return this.overview.one(tenant, name);
  }
}
