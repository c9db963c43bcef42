import { checkStores } from '../boot/check-stores.js';
import { closeOnSignal } from '../boot/close-on-signal.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { isSupervisor, supervise, tellUp } from '../boot/processes.js';
import { run } from '../boot/run.js';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { platformOf } from '../platform.js';

/** A worker: runs what the queue delivers, and listens on no port. */
await run(async () => {
  const config = parseConfig(processEnvironment(), 'worker');
  if (isSupervisor(config)) return supervise(config);

  const platform = platformOf(config, await loadExtensions(config));
  await checkStores(platform);

  // Nest takes most of a start to load: what would stop the start has been told by now.
  const { startWorker } = await import('../boot/start-worker.js');
  const starting = startWorker(platform);
  // It takes jobs before it is all up, and from then on must hand them back.
  closeOnSignal(config, async () => (await starting).close());
  await starting;
  tellUp();
});
