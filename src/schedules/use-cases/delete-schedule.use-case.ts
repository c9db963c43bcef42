import { Injectable } from '@nestjs/common';
import { ScheduleRepository } from '../schedule-repository.js';
import { ScheduleNotFound } from '../schedule.errors.js';

/** Ends a schedule. The jobs that it has made stay, and run. */
@Injectable()
export class DeleteScheduleUseCase {
  constructor(private readonly schedules: ScheduleRepository) {}

  /** @throws ScheduleNotFound, RecordUnavailable */
  async execute({ tenant, name }: { tenant: string; name: string }): Promise<void> {
    if (!(await this.schedules.delete(tenant, name))) throw new ScheduleNotFound(name);
  }
}
