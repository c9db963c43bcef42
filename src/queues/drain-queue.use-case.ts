import { Injectable } from '@nestjs/common';
import type { Operation } from '../operations/operation.js';
import { StartOperationUseCase } from '../operations/start-operation.use-case.js';
import { QueueOverview } from './queue-overview.js';

/**
 * Cancels the tenant's jobs that wait in a queue, those between two attempts included, as an operation that goes on over
 * restarts. What runs goes on; what is submitted later is left alone.
 */
@Injectable()
export class DrainQueueUseCase {
  constructor(
    private readonly overview: QueueOverview,
    private readonly startOperation: StartOperationUseCase,
  ) {}

  /** @throws QueueNotFound */
  async execute({ tenant, name }: { tenant: string; name: string }): Promise<Operation> {
    await this.overview.one(tenant, name);
    const filter = { queue: name, statuses: ['waiting' as const, 'delayed' as const] };
    return this.startOperation.execute({ tenant, kind: 'cancel', filter });
  }
}
