import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BootLogger } from '../boot/boot-logger.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { ConfigModule } from '../config/config.module.js';
import { JobHandlers } from '../job-types/job-handlers.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { JobTypesModule } from '../job-types/job-types.module.js';
import { platformOf, type Platform } from '../platform.js';
import type { ThreadData } from './thread-messages.js';

/** The sandboxed handlers with what they are given, and nothing else of the platform: no record, no queue, no routes. */
@Module({})
export class ThreadModule {
  static register({ config, features }: Platform, queues: readonly string[]): DynamicModule {
    return {
      module: ThreadModule,
      imports: [
        ConfigModule.forRoot(config),
        JobTypesModule.catalogue(features),
        JobTypesModule.handlers(features, (queue) => queues.includes(queue), 'sandbox'),
      ],
    };
  }
}

/** @throws Error where a handler asks for what a thread does not have */
export async function startThread({ config, queues }: ThreadData): Promise<{
  handlers: JobHandlers;
  types: JobTypeRegistry;
  close: () => Promise<void>;
}> {
  const platform = platformOf(config, await loadExtensions(config));
  const app = await NestFactory.createApplicationContext(ThreadModule.register(platform, queues), {
    abortOnError: false,
    logger: new BootLogger(config.log),
  });
  return { handlers: app.get(JobHandlers), types: app.get(JobTypeRegistry), close: () => app.close() };
}
