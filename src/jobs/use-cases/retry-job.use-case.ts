import { Injectable } from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { acceptedData } from '../accepted-data.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { JobNotFound } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';

export interface RetryJobInput {
  tenant: string;
  id: string;
  /** In place of what was sent before, where it is given; the job's type judges it. */
  data?: unknown;
}

/** Runs a job that failed or was cancelled once more: same id, old attempts kept, fresh budget. */
@Injectable()
export class RetryJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly types: JobTypeRegistry,
    private readonly relay: OutboxRelay,
  ) {}

  /** @throws JobNotFound, IllegalTransition, ValidationFailed, JobTypeNotFound where data is given for a type that is gone */
  async execute({ tenant, id, data }: RetryJobInput): Promise<Job> {
    const json = data === undefined ? undefined : await this.accept(tenant, id, data);
    const job = await this.jobs.retry(tenant, id, json);
    if (!job) throw new JobNotFound(id);

    this.relay.wake([job]);
    return job;
  }

  private async accept(tenant: string, id: string, data: unknown): Promise<string> {
    const job = await this.jobs.find(tenant, id);
    if (!job) throw new JobNotFound(id);
    return acceptedData(this.types.get(job.type), data).json;
  }
}
