import { ApiModule } from './api.module.js';
import { assertPortFree } from './boot/assert-port-free.js';
import { checkStores } from './boot/check-stores.js';
import { closeApi } from './boot/close-api.js';
import { closeOnSignal } from './boot/close-on-signal.js';
import { loadExtensions } from './boot/load-extensions.js';
import { run } from './boot/run.js';
import { addressOf, portOf, startDashboard } from './boot/start-api.js';
import { parseConfig } from './config/parse-config.js';
import { processEnvironment } from './config/process-environment.js';
import { DashboardModule } from './dashboard.module.js';
import { AppLogger } from './logging/app-logger.js';
import { PlatformModule, platformOf } from './platform.module.js';

/** Bull Board and Swagger UI on a port of their own, for teams that keep them off the public API. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'dashboard');
  await assertPortFree(config.http.host, config.http.port);
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  const api = ApiModule.register(platform, PlatformModule.register(platform));
  const starting = startDashboard(DashboardModule.register(platform), api, config);
  closeOnSignal(config, async () => closeApi(await starting));
  const url = addressOf(config, portOf(await starting));
  new AppLogger(config.log).log('listening', { url }, 'Dashboard');
});
