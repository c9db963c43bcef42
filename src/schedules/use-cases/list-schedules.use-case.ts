import { Injectable } from '@nestjs/common';
import { ScheduleRepository } from '../schedule-repository.js';
import type { Schedule } from '../schedule.js';

export interface ListSchedulesInput {
  tenant: string;
  limit: number;
  /** Name of the last one of the page before. */
  after?: string;
}

/** One page of a tenant's schedules, by name. */
@Injectable()
export class ListSchedulesUseCase {
  constructor(private readonly schedules: ScheduleRepository) {}

  /** @returns `next` is where the following page starts, if there is one */
  async execute({ tenant, limit, after }: ListSchedulesInput): Promise<{ items: Schedule[]; next?: string }> {
    const found = await this.schedules.list(tenant, { limit: limit + 1, after });
    const items = found.slice(0, limit);
    return { items, next: found.length > limit ? items.at(-1)?.name : undefined };
  }
}
