import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiModule } from '../api.module.js';
import { DashboardModule } from '../dashboard.module.js';
import { PlatformModule } from '../platform.module.js';
import type { Platform } from '../platform.js';
import { documentOf, startHttp } from './start-http.js';

/** The UIs alone: Swagger UI shows the API's document, and calls the API where it is. */
export async function startDashboard(platform: Platform): Promise<NestExpressApplication> {
  const { config } = platform;
  const api = ApiModule.register(platform, PlatformModule.register(platform));
  // In preview Nest makes no provider: the routes are described, and nothing connects to anything.
  const preview = await NestFactory.create<NestExpressApplication>(api, { preview: true, logger: false });
  return startHttp(DashboardModule.register(platform), config, (app) => ({
    ...documentOf(preview, app, config),
    servers: [{ url: config.http.apiPublicUrl ?? '/' }],
  }));
}
