import type { AppConfig } from '../config/app-config.js';
import type { JobContext } from '../job-types/job-type.js';
import type { Json } from '../jobs/job.js';
import type { FailedOutcome } from '../jobs/running/attempt-outcome.js';
import type { AbortCause } from '../jobs/running/running-jobs.js';

/** What a thread is given at its start. */
export interface ThreadData {
  config: AppConfig;
  /** Names of the queues that this process serves: the thread makes the handlers of their types alone. */
  queues: string[];
}

/** The part of a job's context that is values. */
export type ContextValues = Omit<JobContext, 'signal' | 'progress' | 'log'>;

/** `run`s are numbered, so that what comes late from an earlier one is known for it. */
export type ToThread =
  | {
      kind: 'run';
      run: number;
      type: string;
      data: Json;
      context: ContextValues;
      /** Slot 0: `ABORT_CAUSES`' index + 1 once the attempt is to stop. A handler that computes hears no message. */
      abort: Int32Array;
    }
  | { kind: 'abort'; run: number }
  | { kind: 'close' };

export type FromThread =
  | { kind: 'ready' }
  | { kind: 'unusable'; reason: string }
  | { kind: 'progress'; run: number; percent: number; step?: string }
  | { kind: 'log'; run: number; line: string }
  | { kind: 'done'; run: number; result: unknown }
  | { kind: 'failed'; run: number; outcome: FailedOutcome };

export const ABORT_CAUSES: readonly AbortCause[] = ['timeout', 'shutdown', 'lease lost', 'cancelled'];
