import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule } from './config/config.module.js';
import { JobTypesModule } from './job-types/job-types.module.js';
import { Lanes } from './jobs/delivery/lanes.js';
import { JobsModule } from './jobs/jobs.module.js';
import { PersistenceModule } from './persistence/persistence.module.js';
import type { Platform } from './platform.js';
import { QueueModule } from './queue/queue.module.js';

/** What every process shares: configuration, record, queue, the catalogue of job types, and the use cases of jobs. */
@Module({})
export class PlatformModule {
  static register({ config, features, queues }: Platform): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      imports: [
        ConfigModule.forRoot(config),
        PersistenceModule,
        QueueModule.forProducer(config, queues),
        JobTypesModule.catalogue(features),
        JobsModule,
        ...features,
      ],
      providers: [{ provide: Lanes, useValue: new Lanes(queues, config.queue.shards) }],
      exports: [Lanes],
    };
  }
}
