import { addressOf, portOf } from '../boot/address.js';
import { assertPortFree } from '../boot/assert-port-free.js';
import { checkStores } from '../boot/check-stores.js';
import { closeApi } from '../boot/close-api.js';
import { closeOnSignal } from '../boot/close-on-signal.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { run } from '../boot/run.js';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { AppLogger } from '../logging/app-logger.js';
import { platformOf } from '../platform.js';

/** Bull Board and Swagger UI on a port of their own, for teams that keep them off the public API. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'dashboard');
  await assertPortFree(config.http.host, config.http.port);
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  // Nest takes most of a start to load: what would stop the start has been told by now.
  const { startDashboard } = await import('../boot/start-dashboard.js');
  const starting = startDashboard(platform);
  closeOnSignal(config, async () => closeApi(await starting));
  const url = addressOf(config, portOf(await starting));
  new AppLogger(config.log).log('listening', { url }, 'Dashboard');
});
