import type { InjectionToken, Provider } from '@nestjs/common';
import { jobTypeOptionsOf, type JobHandlerClass } from '../job-types/job-type.js';
import { JobTypesModule, type ModuleImport } from '../job-types/job-types.module.js';
import type { Job, JobAttempt } from '../jobs/job.js';
import type { SubmitOptions } from '../jobs/use-cases/submit-job.use-case.js';
import { InMemoryPlatform } from './in-memory-platform.js';

export interface RunJobOptions {
  /** What the handler's constructor asks for, real or not. */
  providers?: Provider[];
  /** Modules that export it. */
  imports?: ModuleImport[];
  /** One attempt where nothing is said. Back-offs are not waited for: their time is let pass. */
  options?: SubmitOptions;
}

export interface JobRun extends Pick<Job, 'status' | 'result' | 'error' | 'progress'> {
  attempts: JobAttempt[];
  logs: string[];
}

/** A back-off, whatever it is, is over after this (ms). */
const LONG_ENOUGH = 30 * 86_400_000;

/**
 * Runs one job of a type to its end, as the platform would: the schema checks its data, timeout and bounds hold, and what
 * the handler throws becomes the attempt's error.
 * @throws ValidationFailed for data that the type refuses
 */
export async function runJob(
  type: JobHandlerClass,
  data: unknown,
  { providers = [], imports = [], options = {} }: RunJobOptions = {},
): Promise<JobRun> {
  const needs = { module: class NeedsModule {}, providers, exports: providers.map(tokenOf) };
  const module = JobTypesModule.register({ types: [type], imports: [needs, ...imports] });
  const platform = await InMemoryPlatform.start({ modules: [module] });
  try {
    const { id } = await platform.submit(jobTypeOptionsOf(type)?.name ?? '', data, {
      attempts: 1,
      ...options,
    });
    await platform.runDue();
    for (let { job } = await platform.job(id); job.finishedAt === null; { job } = await platform.job(id)) {
      platform.advance(LONG_ENOUGH);
      await platform.runDue();
    }
    const { job, attempts } = await platform.job(id);
    const { status, result, error, progress } = job;
    return { status, result, error, progress, attempts, logs: await platform.logs(id) };
  } finally {
    await platform.stop();
  }
}

function tokenOf(provider: Provider): InjectionToken {
  return typeof provider === 'function' ? provider : provider.provide;
}
