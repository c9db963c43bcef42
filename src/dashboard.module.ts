import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule } from './config/config.module.js';
import { BullBoard } from './dashboard/bull-board.module.js';
import { HomeController } from './dashboard/home.controller.js';
import { HealthModule } from './health/health.module.js';
import { SheddingModule } from './http/shedding.module.js';
import { JobTypesModule } from './job-types/job-types.module.js';
import { PersistenceModule } from './persistence/persistence.module.js';
import type { Platform } from './platform.js';
import { QueueModule } from './queue/queue.module.js';

/** Both UIs alone: no route that submits or reads jobs, no relay, no consumers. */
@Module({})
export class DashboardModule {
  static register({ config, features, queues }: Platform): DynamicModule {
    return {
      module: DashboardModule,
      imports: [
        ConfigModule.forRoot(config),
        PersistenceModule,
        QueueModule.forProducer(config, queues),
        JobTypesModule.catalogue(features),
        HealthModule,
        SheddingModule,
        BullBoard.forLanes(config, queues),
      ],
      controllers: [HomeController],
    };
  }
}
