import { DomainError, ValidationFailed } from '../jobs/job.errors.js';

/** Well-formed, and yet it cannot work: a time that never comes, or a job that its type would refuse. */
export class InvalidSchedule extends ValidationFailed {
  override readonly code = 'INVALID_SCHEDULE';
}

export class ScheduleNotFound extends DomainError {
  readonly code = 'SCHEDULE_NOT_FOUND';

  constructor(name: string) {
    super(`No schedule is named "${name}".`);
  }
}

/** The tenant has as many schedules as it may. */
export class TooManySchedules extends DomainError {
  readonly code = 'TOO_MANY_SCHEDULES';

  constructor(most: number) {
    super(`There are ${most} schedules already, and no more are kept: delete some first.`);
  }
}
