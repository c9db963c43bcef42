import { Injectable } from '@nestjs/common';
import { ValidationFailed } from '../../jobs/job.errors.js';
import type { JobDraft } from '../../jobs/job.js';
import { SubmitJobUseCase, type Submission } from '../../jobs/use-cases/submit-job.use-case.js';
import { ScheduleRepository } from '../schedule-repository.js';
import { InvalidSchedule } from '../schedule.errors.js';
import {
  MAX_SCHEDULE_DATA_LENGTH,
  type Misfire,
  type Overlap,
  type Schedule,
  type ScheduleOptions,
} from '../schedule.js';
import { nextFire, type TimingInput, timingOf } from '../timing.js';

export interface PutScheduleInput extends TimingInput {
  tenant: string;
  name: string;
  type: string;
  data: unknown;
  options?: ScheduleOptions;
  /** `one` where nothing is said. */
  misfire?: Misfire;
  /** `allow` where nothing is said. */
  overlap?: Overlap;
  paused?: boolean;
}

/** Makes a schedule, or changes the one that has its name. */
@Injectable()
export class PutScheduleUseCase {
  constructor(
    private readonly submitJob: SubmitJobUseCase,
    private readonly schedules: ScheduleRepository,
  ) {}

  /** @throws InvalidSchedule, TooManySchedules, RecordUnavailable */
  async execute(input: PutScheduleInput): Promise<{ schedule: Schedule; created: boolean }> {
    const { tenant, name, type, data, options = {} } = input;
    const { misfire = 'one', overlap = 'allow', paused = false } = input;
    const timing = timingOf(input);
    const job = this.job(tenant, { type, data, options });

    return this.schedules.put(
      { tenant, name, timing, type, data: job.data, options, misfire, overlap, paused },
      (now) => (paused ? null : (nextFire(timing, now) ?? null)),
    );
  }

  /** As each of its times will submit it. @throws InvalidSchedule */
  private job(tenant: string, submission: Submission): JobDraft {
    const job = this.accepted(tenant, submission);
    if (job.json.length <= MAX_SCHEDULE_DATA_LENGTH) return job;

    const message = `${job.json.length} characters of JSON are more than the ${MAX_SCHEDULE_DATA_LENGTH} allowed in a schedule`;
    throw new InvalidSchedule([{ path: 'data', message }]);
  }

  private accepted(tenant: string, submission: Submission): JobDraft {
    try {
      return this.submitJob.draft(tenant, submission);
    } catch (error) {
      throw error instanceof ValidationFailed ? new InvalidSchedule(error.errors) : error;
    }
  }
}
