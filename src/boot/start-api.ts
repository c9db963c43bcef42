import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AppConfig } from '../config/app-config.js';
import { mountSwagger } from '../dashboard/swagger.js';
import { configureHttp } from '../http/http-edge.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { AppLogger } from '../logging/app-logger.js';

/** Builds the application around a module with routes, and listens. */
export async function startApi(module: DynamicModule, config: AppConfig): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(module, {
    bodyParser: false,
    abortOnError: false,
    logger: new AppLogger(config.log),
  });
  configureHttp(app, config);
  if (config.http.ui) mountSwagger(app, app.get(JobTypeRegistry, { strict: false }));

  await app.listen(config.http.port, config.http.host);
  return app;
}

/** Where a person on this machine reaches it. */
export function addressOf({ http }: AppConfig): string {
  const host = ['0.0.0.0', '::', ''].includes(http.host) ? 'localhost' : http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${http.port}`;
}
