import { Module, type DynamicModule } from '@nestjs/common';
import { BullBoard } from './dashboard/bull-board.module.js';
import { HomeController } from './dashboard/home.controller.js';
import { ExplainModule } from './explain/explain.module.js';
import { HealthModule } from './health/health.module.js';
import { SheddingModule } from './http/shedding.module.js';
import { ThrottlingModule } from './http/throttling.module.js';
import { JobTypesController } from './job-types/http/job-types.controller.js';
import { JobsController } from './jobs/http/jobs.controller.js';
import { JobsModule } from './jobs/jobs.module.js';
import { OperationsModule } from './operations/operations.module.js';
import type { Platform } from './platform.js';
import { QueuesModule } from './queues/queues.module.js';
import { SchedulesModule } from './schedules/schedules.module.js';
import { StatsModule } from './stats/stats.module.js';
import { WorkersModule } from './workers/workers.module.js';

/** Controllers and, unless they are taken out, both UIs. No consumers. */
@Module({})
export class ApiModule {
  /** @param shared the process's one PlatformModule */
  static register({ config, queues }: Platform, shared: DynamicModule): DynamicModule {
    const { ui } = config.http;
    return {
      module: ApiModule,
      imports: [
        shared,
        JobsModule,
        HealthModule,
        StatsModule,
        OperationsModule,
        QueuesModule,
        ExplainModule,
        WorkersModule,
        SchedulesModule,
        SheddingModule,
        ThrottlingModule.forRoot(config),
        ...(ui ? [BullBoard.forLanes(config, queues)] : []),
      ],
      controllers: [JobsController, JobTypesController, ...(ui ? [HomeController] : [])],
    };
  }
}
