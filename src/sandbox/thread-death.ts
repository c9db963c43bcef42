import type { JobError } from '../jobs/job.js';
import { outcomeOfError } from '../jobs/running/attempt-outcome.js';

/** What a thread died of, as the error of its attempt. @param thrown anything: nobody caught it */
export function deathBy(thrown: unknown): JobError {
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return { code: 'SANDBOX_OUT_OF_MEMORY', message: "The memory of the thread's heap is used up" };
  }
  const { error } = outcomeOfError(thrown);
  return { ...error, code: 'SANDBOX_EXITED', message: `The handler's thread died: ${error.message}` };
}
