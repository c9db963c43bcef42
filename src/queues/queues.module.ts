import { Module } from '@nestjs/common';
import { StatsModule } from '../stats/stats.module.js';
import { WorkersModule } from '../workers/workers.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { DrainQueueUseCase } from './drain-queue.use-case.js';
import { GetQueueUseCase } from './get-queue.use-case.js';
import { QueuesController } from './http/queues.controller.js';
import { ListQueuesUseCase } from './list-queues.use-case.js';
import { PauseQueueUseCase } from './pause-queue.use-case.js';
import { QueueOverview } from './queue-overview.js';
import { ResumeQueueUseCase } from './resume-queue.use-case.js';

const useCases = [
  ListQueuesUseCase,
  GetQueueUseCase,
  PauseQueueUseCase,
  ResumeQueueUseCase,
  DrainQueueUseCase,
];

/** Queues: what is in them, and whether they move. */
@Module({
  imports: [OperationsModule, StatsModule, WorkersModule],
  providers: [...useCases, QueueOverview],
  controllers: [QueuesController],
  exports: useCases,
})
export class QueuesModule {}
