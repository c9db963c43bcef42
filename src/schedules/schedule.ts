import type { Json } from '../jobs/job.js';
import type { SubmitOptions } from '../jobs/use-cases/submit-job.use-case.js';
import type { Timing } from './timing.js';

export const MISFIRES = ['skip', 'one', 'all'] as const;

/**
 * What becomes of times that passed while nobody could fire them. skip: nothing. one: a single job, for the first of
 * them. all: a job for each.
 */
export type Misfire = (typeof MISFIRES)[number];

export const OVERLAPS = ['allow', 'skip'] as const;

/** Whether a schedule fires while its last job is not over. */
export type Overlap = (typeof OVERLAPS)[number];

export type ScheduleOptions = Pick<SubmitOptions, 'priority' | 'attempts' | 'backoff' | 'timeout' | 'tags'>;

/** What a schedule is told to do. */
export interface ScheduleDraft {
  tenant: string;
  /** Of a tenant's schedules, one has it. */
  name: string;
  timing: Timing;
  type: string;
  data: Json;
  options: ScheduleOptions;
  misfire: Misfire;
  overlap: Overlap;
  paused: boolean;
}

export interface Schedule extends ScheduleDraft {
  /** Null while it is paused. A time that has just passed is about to be fired. */
  nextFireAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Why a time of a schedule has no job. overlap: the last one was not over. invalid: the type refused its data or options. */
export type Skip = 'overlap' | 'invalid';

/** A time of a schedule, as it went. */
export interface Fire {
  at: Date;
  /** Null where it was skipped. */
  jobId: string | null;
  skipped: Skip | null;
}

export const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
export const NAME_RULE =
  'must be 1 to 100 lower-case letters, digits, dots, dashes or underscores, and start with a letter or a digit';

/** Schedules of one tenant. */
export const MOST_SCHEDULES = 10_000;

/** In UTF-16 code units of its JSON text: many jobs are made of it at once. */
export const MAX_SCHEDULE_DATA_LENGTH = 65_536;
