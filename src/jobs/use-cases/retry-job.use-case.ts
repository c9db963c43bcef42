import { Injectable } from '@nestjs/common';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';

/** Runs a job that failed or was cancelled once more: same id, old attempts kept, fresh budget. */
@Injectable()
export class RetryJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly relay: OutboxRelay,
  ) {}

  /** @throws JobNotFound, IllegalTransition */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<Job> {
    const job = await this.jobs.retry(tenant, id);
    if (!job) throw new JobNotFound(id);

    this.relay.wake([job]);
    return job;
  }
}
