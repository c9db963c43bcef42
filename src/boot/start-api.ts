import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { AppConfig } from '../config/app-config.js';
import { mountSwagger, openApiDocument } from '../dashboard/swagger.js';
import { configureHttp } from '../http/http-edge.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { BootLogger } from './boot-logger.js';

/** Builds the application around a module with the API's routes, and listens. */
export function startApi(module: DynamicModule, config: AppConfig): Promise<NestExpressApplication> {
  return startHttp(module, config, (app) => documentOf(app, app, config));
}

/** The UIs alone: Swagger UI shows the API's document, and calls the API where it is. */
export async function startDashboard(
  module: DynamicModule,
  api: DynamicModule,
  config: AppConfig,
): Promise<NestExpressApplication> {
  // In preview Nest makes no provider: the routes are described, and nothing connects to anything.
  const preview = await NestFactory.create<NestExpressApplication>(api, { preview: true, logger: false });
  return startHttp(module, config, (app) => ({
    ...documentOf(preview, app, config),
    servers: [{ url: config.http.apiPublicUrl ?? '/' }],
  }));
}

async function startHttp(
  module: DynamicModule,
  config: AppConfig,
  describe: (app: NestExpressApplication) => OpenAPIObject,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(module, {
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
function documentOf(
  routes: NestExpressApplication,
  app: NestExpressApplication,
  { http }: AppConfig,
): OpenAPIObject {
  const registry = app.get(JobTypeRegistry, { strict: false });
  return openApiDocument(routes, registry, http.apiKeys.length > 0);
}

/**
 * Where a person on this machine reaches it.
 * @param port the one that is listened on; it differs where PORT=0 leaves the choice to the system
 */
export function addressOf({ http }: AppConfig, port = http.port): string {
  const host = ['0.0.0.0', '::', ''].includes(http.host) ? 'localhost' : http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The port that the application listens on. */
export function portOf(app: NestExpressApplication): number | undefined {
  const address = app.getHttpServer().address();
  return typeof address === 'object' ? address?.port : undefined;
}
