import { IllegalTransition } from './job.errors.js';

/** A JSON value, as it was sent or returned. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const JOB_STATUSES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const;

/** BullMQ's words. A retry's back-off is `delayed`. */
export type JobStatus = (typeof JOB_STATUSES)[number];

export type TerminalStatus = Extract<JobStatus, 'completed' | 'failed' | 'cancelled'>;

/** Whether it is a terminal state: only a retry by hand leads out of it. */
export function isOver(status: JobStatus): status is TerminalStatus {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Every move a job can make, and the states that it may start from. Nothing else is legal. */
const MOVES = {
  claim: { from: ['waiting', 'delayed'], to: ['active'] },
  complete: { from: ['active'], to: ['completed'] },
  fail: { from: ['active'], to: ['failed'] },
  back_off: { from: ['active'], to: ['delayed', 'waiting'] },
  release: { from: ['active'], to: ['waiting', 'delayed'] },
  reap: { from: ['active'], to: ['waiting'] },
  quarantine: { from: ['active'], to: ['failed'] },
  retry: { from: ['failed', 'cancelled'], to: ['waiting'] },
  cancel: { from: ['waiting', 'delayed', 'active'], to: ['cancelled'] },
  run_now: { from: ['delayed'], to: ['waiting'] },
  expire: { from: ['waiting', 'delayed'], to: ['failed'] },
} as const satisfies Record<string, { from: readonly JobStatus[]; to: readonly JobStatus[] }>;

export type Move = keyof typeof MOVES;

/** Whether a job in this status may make the move. */
export function mayMove(status: JobStatus, move: Move): boolean {
  return (MOVES[move].from as readonly JobStatus[]).includes(status);
}

/** @throws IllegalTransition naming the states from which the move is legal */
export function assertMove(jobId: string, status: JobStatus, move: Move): void {
  if (!mayMove(status, move)) throw new IllegalTransition(jobId, move, status, MOVES[move].from);
}

/** How long to wait before the next attempt. `delay` and `cap` in ms. */
export interface Backoff {
  kind: 'fixed' | 'exponential';
  delay: number;
  cap?: number;
  /** The share of each pause that chance takes off, 0 to 1: what failed together does not come back together. */
  jitter?: number;
}

/** What becomes of a submit whose dedupe key a job that is not over has already. */
export const ON_DUPLICATE = ['reject', 'return', 'replace'] as const;

/**
 * reject: it is refused. return: it is answered with the job that there is. replace: that one is cancelled, unless it
 * runs: then the submit is refused.
 */
export type OnDuplicate = (typeof ON_DUPLICATE)[number];

/** What one submit decided for its job, type defaults filled in. Times in ms. */
export interface JobOptions {
  /** 0 runs first; 100 is ordinary. Best effort, within a shard. */
  priority: number;
  /** Attempts a run. */
  attempts: number;
  backoff: Backoff;
  /** An attempt that lasts longer is ended with code `TIMEOUT`. */
  timeout: number;
}

/** Why an attempt or a job did not succeed. */
export interface JobError {
  /** `HANDLER_ERROR`, `TIMEOUT`, `DATA_INVALID`, `RESULT_INVALID`, `CRASHED`, `EXPIRED`, or a code of the type's own. */
  code: string;
  message: string;
  stack?: string;
}

export interface JobProgress {
  percent: number;
  step?: string;
}

/** What a submit hands over to the record: `runAt` is absolute, `delay` relative to the database's clock. */
export interface JobDraft {
  tenant: string;
  type: string;
  queue: string;
  data: Json;
  /** `data` as JSON text: made once, to be measured and stored. */
  json: string;
  options: JobOptions;
  /** ms from the moment of the insert. */
  delay?: number;
  runAt?: Date;
  expiresAt?: Date;
  tags?: readonly string[];
  /** Of one tenant's jobs that are not over, at most one has it. */
  dedupeKey?: string;
  onDuplicate?: OnDuplicate;
}

/** The record of one job. */
export interface Job {
  /** UUIDv7 by the database's clock. */
  id: string;
  tenant: string;
  type: string;
  queue: string;
  shard: number;
  status: JobStatus;
  data: Json;
  options: JobOptions;
  tags: string[];
  /** No attempt starts after this. A retry by hand lifts it. */
  expiresAt: Date | null;
  dedupeKey: string | null;
  /** 1, and one more for each manual retry. */
  run: number;
  /** The current delivery's number, or the last one's. */
  delivery: number;
  /** Attempts that have ended in this run. */
  attemptsMade: number;
  progress: JobProgress | null;
  result: Json;
  error: JobError | null;
  createdAt: Date;
  /** When it may start, or might have. */
  runAt: Date;
  /** When the queue got it; null while it waits in the record alone. */
  enqueuedAt: Date | null;
  /** Start of the latest attempt. */
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** One attempt that ended. */
export interface JobAttempt {
  run: number;
  /** 1-based within its run. */
  number: number;
  worker: string;
  startedAt: Date;
  finishedAt: Date;
  outcome: 'completed' | 'failed';
  error: JobError | null;
}

export interface JobLogLine {
  /** Grows with each line of the job. */
  seq: number;
  run: number;
  attempt: number;
  at: Date;
  line: string;
}
