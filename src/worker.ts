import { NestFactory } from '@nestjs/core';
import { BootLogger } from './boot/boot-logger.js';
import { checkStores } from './boot/check-stores.js';
import { closeOnSignal } from './boot/close-on-signal.js';
import { loadExtensions } from './boot/load-extensions.js';
import { run } from './boot/run.js';
import { parseConfig } from './config/parse-config.js';
import { processEnvironment } from './config/process-environment.js';
import { PlatformModule, platformOf } from './platform.module.js';
import { WorkerModule } from './worker.module.js';

/** A worker: runs what the queue delivers, and listens on no port. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'worker');
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  const starting = NestFactory.createApplicationContext(
    WorkerModule.register(platform, PlatformModule.register(platform)),
    { abortOnError: false, logger: new BootLogger(config.log) },
  );
  // It takes jobs before it is all up, and from then on must hand them back.
  closeOnSignal(config, async () => (await starting).close());
  await starting;
});
