import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { AppConfig } from '../config/app-config.js';
import { mountSwagger, openApiDocument } from '../dashboard/swagger.js';
import { EdgeAdapter } from '../http/edge.adapter.js';
import { configureHttp } from '../http/http-edge.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { BootLogger } from './boot-logger.js';

/**
 * Builds the application around a module, and listens.
 * @param module with the routes and, where the UIs are on, the catalogue of job types
 * @param describe the document that Swagger UI shows; by default that of the module's own routes
 */
export async function startHttp(
  module: DynamicModule,
  config: AppConfig,
  describe = (app: NestExpressApplication): OpenAPIObject => documentOf(app, app, config),
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(module, new EdgeAdapter(), {
    bodyParser: false,
    abortOnError: false,
    logger: new BootLogger(config.log),
  });
  configureHttp(app, config);
  if (config.http.ui) mountSwagger(app, describe(app));

  await app.listen(config.http.port, config.http.host);
  return app;
}

/** @param routes the application whose routes are described @param app the one that knows the job types */
export function documentOf(
  routes: NestExpressApplication,
  app: NestExpressApplication,
  { http }: AppConfig,
): OpenAPIObject {
  const registry = app.get(JobTypeRegistry, { strict: false });
  return openApiDocument(routes, registry, http.apiKeys.length > 0);
}
