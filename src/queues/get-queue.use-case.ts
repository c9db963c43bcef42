import { Injectable } from '@nestjs/common';
import { QueueOverview } from './queue-overview.js';
import type { QueueState } from './queue-state.js';

/** Tells the same of one queue. */
@Injectable()
export class GetQueueUseCase {
  constructor(private readonly overview: QueueOverview) {}

  /** @throws QueueNotFound */
  execute({ tenant, name }: { tenant: string; name: string }): Promise<QueueState> {
    return this.overview.one(tenant, name);
  }
}
