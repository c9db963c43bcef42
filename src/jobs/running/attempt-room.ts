import type { JobContext } from '../../job-types/job-type.js';
import type { Json } from '../job.js';

/** Where one attempt runs: on this process's loop, or in a thread of the sandbox. */
export interface AttemptRoom {
  /** @param data as it is on record: the type's schema reads it here */
  run(data: Json, context: JobContext): Promise<unknown>;

  /** The attempt is over, whether or not its handler is. */
  leave(): void;
}
