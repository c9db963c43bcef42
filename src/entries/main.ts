import cluster from 'node:cluster';
import { addressOf, portOf } from '../boot/address.js';
import { assertPortFree } from '../boot/assert-port-free.js';
import { checkStores } from '../boot/check-stores.js';
import { closeApi } from '../boot/close-api.js';
import { closeOnSignal } from '../boot/close-on-signal.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { isSupervisor, supervise, tellUp } from '../boot/processes.js';
import { run } from '../boot/run.js';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { AppLogger } from '../logging/app-logger.js';
import { platformOf } from '../platform.js';

/** The API and both UIs. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'main');
  if (cluster.isPrimary) await assertPortFree(config.http.host, config.http.port);
  if (isSupervisor(config)) return supervise(config);
  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  // Nest takes most of a start to load: what would stop the start has been told by now.
  const { startApi } = await import('../boot/start-api.js');
  const starting = startApi(platform);
  closeOnSignal(config, async () => closeApi(await starting));
  const url = addressOf(config, portOf(await starting));
  new AppLogger(config.log).log('listening', { url }, 'Api');
  tellUp();
});
