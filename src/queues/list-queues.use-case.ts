import { Injectable } from '@nestjs/common';
import { QueueOverview } from './queue-overview.js';
import type { QueueState } from './queue-state.js';

/** Tells of every queue how much is in it, how it moves, and who serves it. */
@Injectable()
export class ListQueuesUseCase {
  constructor(private readonly overview: QueueOverview) {}

  /** In alphabetical order. */
  execute({ tenant }: { tenant: string }): Promise<QueueState[]> {
    return this.overview.all(tenant);
  }
}
