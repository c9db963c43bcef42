import { Injectable } from '@nestjs/common';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';

/** Makes a delayed job due: one submitted for later, or one that waits for its next attempt. */
@Injectable()
export class RunJobNowUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly relay: OutboxRelay,
  ) {}

  /** @throws JobNotFound, IllegalTransition */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<Job> {
    const job = await this.jobs.runNow(tenant, id);
    if (!job) throw new JobNotFound(id);

    this.relay.wake([job]);
    return job;
  }
}
