import { Injectable } from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { ValidationFailed } from '../../jobs/job.errors.js';
import type { JobDraft } from '../../jobs/job.js';
import { JobActivity } from '../../jobs/statistics/job-activity.js';
import { SubmitJobUseCase } from '../../jobs/use-cases/submit-job.use-case.js';
import {
  type DueSchedule,
  type Fired,
  type FirePlan,
  type PlannedFire,
  ScheduleRepository,
} from '../schedule-repository.js';
import { nextFire } from '../timing.js';

/** A time that passed longer ago than this (ms) was missed: `misfire` says what becomes of it. */
export const MISSED_AFTER = 10_000;

/** In one transaction; the product with the longest data bounds what it holds in memory. */
const MOST_SCHEDULES_AT_ONCE = 20;
const MOST_FIRES_AT_ONCE = 25;

/**
 * Makes the jobs of schedules whose time has come: one pass over a bounded number of them. As many processes may do so
 * at once as like: the record gives each schedule to one of them, and each time one job.
 */
@Injectable()
export class FireDueSchedulesUseCase {
  constructor(
    private readonly types: JobTypeRegistry,
    private readonly submitJob: SubmitJobUseCase,
    private readonly schedules: ScheduleRepository,
    private readonly activity: JobActivity,
  ) {}

  /** @returns what was done, and whether more may be due @throws RecordUnavailable */
  async execute(): Promise<{ fired: Fired[]; more: boolean }> {
    const types = this.types.all().map(({ name }) => name);
    const page = { types, limit: MOST_SCHEDULES_AT_ONCE };
    const done = await this.schedules.fireDue(page, (due) => this.plan(due));

    const made = done.fired.filter(({ jobId }) => jobId !== null);
    this.activity.submitted(made.map((job) => ({ ...job, queue: this.types.get(job.type).queue })));
    return done;
  }

  private plan(due: DueSchedule): FirePlan {
    const { times, next } = dueTimes(due);
    const draft = this.draft(due);
    if (!draft) return { fires: times.map((at) => ({ at, skipped: 'invalid' })), next };

    let busy = due.busy;
    const fires = times.map((at): PlannedFire => {
      if (busy && due.overlap === 'skip') return { at, skipped: 'overlap' };
      busy = true;
      return { at, draft: { ...draft, runAt: at } };
    });
    return { fires, next };
  }

  /** Checked again: the type may have another schema by now. */
  private draft({ tenant, type, data, options }: DueSchedule): JobDraft | undefined {
    try {
      return this.submitJob.draft(tenant, { type, data, options });
    } catch (error) {
      if (error instanceof ValidationFailed) return undefined;
      throw error;
    }
  }
}

/** The times to be fired now, earliest first, and the one that comes after them. */
function dueTimes({ timing, misfire, nextFireAt, now }: DueSchedule): { times: Date[]; next: Date | null } {
  const times: Date[] = [];
  const missed = new Date(now.getTime() - MISSED_AFTER);
  let next: Date | undefined = nextFireAt;

  if (misfire !== 'all' && next <= missed) {
    if (misfire === 'one') times.push(next);
    next = nextFire(timing, missed);
  }
  while (next && next <= now && times.length < MOST_FIRES_AT_ONCE) {
    times.push(next);
    next = nextFire(timing, next);
  }
  return { times, next: next ?? null };
}
