import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/jobs.module.js';
import { WorkersModule } from '../workers/workers.module.js';
import { ExplainJobUseCase } from './explain-job.use-case.js';
import { ExplainController } from './http/explain.controller.js';

/** Why a job is not running. */
@Module({
  imports: [JobsModule, WorkersModule],
  providers: [ExplainJobUseCase],
  controllers: [ExplainController],
  exports: [ExplainJobUseCase],
})
export class ExplainModule {}
