import { Module, type DynamicModule } from '@nestjs/common';
import { ApiModule } from './api.module.js';
import type { Platform } from './platform.js';
import { PlatformModule } from './platform.module.js';
import { WorkerModule } from './worker.module.js';

/** API, UIs and worker in one process. */
@Module({})
export class StandaloneModule {
  static register(platform: Platform): DynamicModule {
    const shared = PlatformModule.register(platform);
    return {
      module: StandaloneModule,
      imports: [ApiModule.register(platform, shared), WorkerModule.register(platform, shared)],
    };
  }
}
