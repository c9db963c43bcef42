import { SetMetadata, type Type } from '@nestjs/common';
import type { z } from 'zod';
import type { Backoff, TerminalStatus } from '../jobs/job.js';
import type { Duration } from './duration.js';

/** What a handler is given beside its data. Everything here is fenced: once the attempt is over, it has no effect. */
export interface JobContext {
  /** The same in every attempt and run: the idempotency key for effects outside. */
  readonly jobId: string;
  readonly tenant: string;
  readonly run: number;
  /** 1-based, within the run. */
  readonly attempt: number;
  /** How many attempts the run has. */
  readonly attempts: number;
  /** Aborted at the timeout, at shutdown, and when another worker may have taken over. */
  readonly signal: AbortSignal;
  /** @param percent 0 to 100 @param step at most 200 characters */
  progress(percent: number, step?: string): void;
  /** @param line at most 4,000 characters; at most 1,000 lines an attempt */
  log(line: string): void;
}

/**
 * Runs one attempt. What it returns (JSON; nothing counts as null) becomes the job's result.
 * A throw fails the attempt; a PermanentFailure fails the job.
 */
export interface JobHandler<Data extends z.ZodType> {
  run(data: z.output<Data>, context: JobContext): Promise<unknown>;
}

export interface JobTypeOptions<Data extends z.ZodType = z.ZodType> {
  /** `snake_case`, unique on the platform. */
  name: string;
  /** The schema of `data`: make objects strict. Fields with `.meta({ sensitive: true })` are masked for display. */
  data: Data;
  /** Shown in Swagger, and valid against the schema: this is checked at boot. */
  example: z.input<Data>;
  /** One sentence for the catalogue. */
  description?: string;
  /** `default` where none is given. */
  queue?: string;
  /** 3 where none is given. */
  attempts?: number;
  /** Exponential from 1 s where none is given. */
  backoff?: Backoff;
  /** 5 minutes where none is given. */
  timeout?: Duration;
  /** How long its finished jobs are kept, 1 hour to 10 years; what the installation says where nothing is said. */
  retention?: Duration | Partial<Record<TerminalStatus, Duration>>;
  /** What a submit may ask for at most; the platform's own bounds where nothing is said. */
  limits?: JobTypeLimits;
  /** Its handler computes: it runs in a thread, so that nothing else waits for it, and can be stopped whatever it does. */
  sandboxed?: boolean;
}

export interface JobTypeLimits {
  attempts?: number;
  timeout?: Duration;
  /** The most urgent priority, 0 to 1000: a smaller number is refused. */
  priority?: number;
}

/** A class that carries `@JobType` and runs it. */
export type JobHandlerClass = Type<JobHandler<z.ZodType>>;

const METADATA = 'job-type';

/** Declares a job type. The class is provided in workers only; the API reads this metadata. */
export function JobType<Data extends z.ZodType>(options: JobTypeOptions<Data>) {
  return SetMetadata(METADATA, options) as ClassDecorator;
}

/** @returns undefined for a class without the decorator */
export function jobTypeOptionsOf(target: object): JobTypeOptions | undefined {
  return Reflect.getMetadata(METADATA, target) as JobTypeOptions | undefined;
}
