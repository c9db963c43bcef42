import { Injectable } from '@nestjs/common';
import { ScheduleRepository } from '../schedule-repository.js';
import { ScheduleNotFound } from '../schedule.errors.js';
import type { Fire, Schedule } from '../schedule.js';
import { nextFires } from '../timing.js';

const SHOWN = 10;

export interface ScheduleOutlook {
  schedule: Schedule;
  /** The next ten times; of a paused one, those at which it would fire. */
  nextFires: Date[];
  /** The ten latest, latest first. */
  lastFires: Fire[];
}

/** A schedule, with what it has done and what it is going to do. */
@Injectable()
export class GetScheduleUseCase {
  constructor(private readonly schedules: ScheduleRepository) {}

  /** @throws ScheduleNotFound, RecordUnavailable */
  async execute({ tenant, name }: { tenant: string; name: string }): Promise<ScheduleOutlook> {
    const [schedule, lastFires] = await Promise.all([
      this.schedules.find(tenant, name),
      this.schedules.fires(tenant, name, SHOWN),
    ]);
    if (!schedule) throw new ScheduleNotFound(name);

    return { schedule, nextFires: outlook(schedule), lastFires };
  }
}

function outlook({ timing, nextFireAt }: Schedule): Date[] {
  if (!nextFireAt) return nextFires(timing, new Date(), SHOWN);
  return [nextFireAt, ...nextFires(timing, nextFireAt, SHOWN - 1)];
}
