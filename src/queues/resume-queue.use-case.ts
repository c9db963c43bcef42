import { Injectable } from '@nestjs/common';
import { JobRepository } from '../jobs/job-repository.js';
import { QueueOverview } from './queue-overview.js';
import type { QueueState } from './queue-state.js';

/** Lets the jobs of a paused queue start again. Idempotent. */
@Injectable()
export class ResumeQueueUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly overview: QueueOverview,
  ) {}

  /** @throws QueueNotFound */
  async execute({ tenant, name }: { tenant: string; name: string }): Promise<QueueState> {
    const state = await this.overview.one(tenant, name);
    await this.jobs.resume(name);
    return { ...state, pausedSince: null };
  }
}
