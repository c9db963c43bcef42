import { ApiModule } from './api.module.js';
import { checkStores } from './boot/check-stores.js';
import { closeApi } from './boot/close-api.js';
import { closeOnSignal } from './boot/close-on-signal.js';
import { loadExtensions } from './boot/load-extensions.js';
import { run } from './boot/run.js';
import { addressOf, portOf, startApi } from './boot/start-api.js';
import { parseConfig } from './config/parse-config.js';
import { processEnvironment } from './config/process-environment.js';
import { AppLogger } from './logging/app-logger.js';
import { PlatformModule, platformOf } from './platform.module.js';
import { assertPortFree } from './boot/assert-port-free.js';

/** The API and both UIs. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'main');
  await assertPortFree(config.http.host, config.http.port);
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  const starting = startApi(ApiModule.register(platform, PlatformModule.register(platform)), config);
  closeOnSignal(config, async () => closeApi(await starting));
  const url = addressOf(config, portOf(await starting));
  new AppLogger(config.log).log('listening', { url }, 'Api');
});
