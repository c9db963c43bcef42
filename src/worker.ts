import { NestFactory } from '@nestjs/core';
import { checkStores } from './boot/check-stores.js';
import { closeOnSignal } from './boot/close-on-signal.js';
import { loadExtensions } from './boot/load-extensions.js';
import { run } from './boot/run.js';
import { parseConfig } from './config/parse-config.js';
import { processEnvironment } from './config/process-environment.js';
import { AppLogger } from './logging/app-logger.js';
import { PlatformModule, platformOf } from './platform.module.js';
import { WorkerModule } from './worker.module.js';

/** A worker: runs what the queue delivers, and listens on no port. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'worker');
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  const app = await NestFactory.createApplicationContext(
    WorkerModule.register(platform, PlatformModule.register(platform)),
    { abortOnError: false, logger: new AppLogger(config.log) },
  );
  closeOnSignal(() => app.close());
});
