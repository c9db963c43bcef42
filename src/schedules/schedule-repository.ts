import type { JobDraft } from '../jobs/job.js';
import type { Fire, Schedule, ScheduleDraft, Skip } from './schedule.js';

/** A schedule whose time has come, locked for whoever looks at it. */
export interface DueSchedule extends Schedule {
  nextFireAt: Date;
  /** By the record's clock. */
  now: Date;
  /** Its last job is not over. */
  busy: boolean;
}

export type PlannedFire = { at: Date; draft: JobDraft } | { at: Date; skipped: Skip };

/** What a due schedule does now, and when it is due again. */
export interface FirePlan {
  fires: PlannedFire[];
  next: Date | null;
}

export interface Fired extends Fire {
  tenant: string;
  schedule: string;
  type: string;
}

/** The record of schedules. Calls throw RecordUnavailable when the database does not answer. */
export abstract class ScheduleRepository {
  /**
   * Makes a schedule, or puts it in the place of the one that has its name. One that fires at the same times as before,
   * and was not paused, keeps its next time; any other starts afresh.
   * @param next given the record's time: when it fires first
   * @throws TooManySchedules
   */
  abstract put(
    draft: ScheduleDraft,
    next: (now: Date) => Date | null,
  ): Promise<{ schedule: Schedule; created: boolean }>;

  abstract find(tenant: string, name: string): Promise<Schedule | undefined>;

  /** By name, after `after`. */
  abstract list(tenant: string, page: { limit: number; after?: string }): Promise<Schedule[]>;

  /** Its jobs stay. @returns false where there is no such schedule */
  abstract delete(tenant: string, name: string): Promise<boolean>;

  /** The latest times of a schedule that are on record, latest first. */
  abstract fires(tenant: string, name: string, limit: number): Promise<Fire[]>;

  /**
   * Fires schedules that are due and that nobody else is firing, the longest due first. A time, its job and the next time
   * are committed together; a time that is on record already makes no second job.
   * @param types of jobs that this process knows: schedules of others are left to others
   * @param plan decides what one of them does
   * @returns what was done, and whether more may be due
   */
  abstract fireDue(
    page: { types: readonly string[]; limit: number },
    plan: (due: DueSchedule) => FirePlan,
  ): Promise<{ fired: Fired[]; more: boolean }>;
}
