import { Injectable } from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { JobTypeNotFound, ValidationFailed } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Backoff, Job, JobDraft } from '../job.js';
import { MAX_DATA_LENGTH } from '../limits.js';

export interface SubmitJobInput {
  tenant: string;
  type: string;
  /** Kept as it is, once the type's schema has accepted it. */
  data: unknown;
  options?: SubmitOptions;
}

/** What a submit may decide for itself; the job type's defaults fill in the rest. */
export interface SubmitOptions {
  /** ms from now, by the database's clock. */
  delay?: number;
  runAt?: Date;
  priority?: number;
  attempts?: number;
  backoff?: Backoff;
  /** ms */
  timeout?: number;
}

/** Accepts work: answers only once the row is committed, and never waits for the queue. */
@Injectable()
export class SubmitJobUseCase {
  constructor(
    private readonly types: JobTypeRegistry,
    private readonly jobs: JobRepository,
    private readonly relay: OutboxRelay,
  ) {}

  /** @throws ValidationFailed, RecordUnavailable */
  async execute(input: SubmitJobInput): Promise<Job> {
    const [job] = await this.commit([this.draft(input)]);
    return job as Job;
  }

  /** All or none. @throws ValidationFailed with paths that start with `jobs.<index>`, RecordUnavailable */
  async executeMany(tenant: string, inputs: readonly Omit<SubmitJobInput, 'tenant'>[]): Promise<Job[]> {
    const errors: ValidationFailed[] = [];
    const drafts = inputs.flatMap((input, index) => {
      try {
        return [this.draft({ ...input, tenant })];
      } catch (error) {
        if (!(error instanceof ValidationFailed)) throw error;
        errors.push(error.under(`jobs.${index}`));
        return [];
      }
    });
    if (errors.length > 0) throw new ValidationFailed(errors.flatMap((error) => error.errors));

    return this.commit(drafts);
  }

  private async commit(drafts: JobDraft[]): Promise<Job[]> {
    const jobs = await this.jobs.insert(drafts);
    this.relay.wake(jobs);
    return jobs;
  }

  private draft({ tenant, type, data, options = {} }: SubmitJobInput): JobDraft {
    const definition = this.types.find(type);
    if (!definition)
      throw new ValidationFailed([{ path: 'type', message: new JobTypeNotFound(type).message }]);

    const { priority, attempts, backoff, timeout } = { ...definition.defaults, ...defined(options) };
    const checked = definition.check(data);
    return {
      tenant,
      type,
      queue: definition.queue,
      data: checked,
      json: bounded(JSON.stringify(checked)),
      options: { priority, attempts, backoff, timeout },
      delay: options.delay,
      runAt: options.runAt,
    };
  }
}

function bounded(json: string): string {
  if (json.length <= MAX_DATA_LENGTH) return json;
  throw new ValidationFailed([
    {
      path: 'data',
      message: `${json.length} characters of JSON are more than the ${MAX_DATA_LENGTH} allowed`,
    },
  ]);
}

/** An option that is undefined does not override a default. */
function defined(options: SubmitOptions): SubmitOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
