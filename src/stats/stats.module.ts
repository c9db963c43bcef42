import { Module } from '@nestjs/common';
import { GetStatsUseCase } from './get-stats.use-case.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { StatsController } from './http/stats.controller.js';
import { ProcessLoad } from './process-load.js';

/** Counts, for people and for monitors. */
@Module({
  imports: [JobsModule],
  providers: [GetStatsUseCase, ProcessLoad],
  controllers: [StatsController],
  exports: [GetStatsUseCase],
})
export class StatsModule {}
