import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Platform } from '../platform.js';
import { StandaloneModule } from '../standalone.module.js';
import { startHttp } from './start-http.js';

export function startStandalone(platform: Platform): Promise<NestExpressApplication> {
  return startHttp(StandaloneModule.register(platform), platform.config);
}
