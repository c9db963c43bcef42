import { Module, type DynamicModule } from '@nestjs/common';
import type { AppConfig } from './config/app-config.js';
import { ConfigModule } from './config/config.module.js';
import { BuiltInJobTypesModule } from './job-types/built-in-job-types.module.js';
import { JobTypesModule, queuesIn, type ModuleImport } from './job-types/job-types.module.js';
import { Lanes } from './jobs/delivery/lanes.js';
import { JobsModule } from './jobs/jobs.module.js';
import { PersistenceModule } from './persistence/persistence.module.js';
import { QueueModule } from './queue/queue.module.js';

/** What a process is made of, decided before Nest: the configuration, and the modules that declare job types. */
export interface Platform {
  config: AppConfig;
  features: readonly ModuleImport[];
  queues: string[];
}

/** @param extensions modules of other teams, beside the built-in job types */
export function platformOf(config: AppConfig, extensions: readonly ModuleImport[]): Platform {
  const features = [BuiltInJobTypesModule, ...extensions];
  return { config, features, queues: queuesIn(features) };
}

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
