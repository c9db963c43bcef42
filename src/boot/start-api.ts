import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiModule } from '../api.module.js';
import { PlatformModule } from '../platform.module.js';
import type { Platform } from '../platform.js';
import { startHttp } from './start-http.js';

export function startApi(platform: Platform): Promise<NestExpressApplication> {
  return startHttp(ApiModule.register(platform, PlatformModule.register(platform)), platform.config);
}
