import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PlatformModule } from '../platform.module.js';
import type { Platform } from '../platform.js';
import { WorkerModule } from '../worker.module.js';
import { BootLogger } from './boot-logger.js';

/** Takes jobs before the returned promise is kept. */
export function startWorker(platform: Platform): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(
    WorkerModule.register(platform, PlatformModule.register(platform)),
    { abortOnError: false, logger: new BootLogger(platform.config.log) },
  );
}
