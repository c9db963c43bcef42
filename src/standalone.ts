import { closeOnSignal } from './boot/close-on-signal.js';
import { loadExtensions } from './boot/load-extensions.js';
import { assertPortFree } from './boot/assert-port-free.js';
import { checkStores } from './boot/check-stores.js';
import { migrateStores } from './boot/migrate-stores.js';
import { run } from './boot/run.js';
import { addressOf, startApi } from './boot/start-api.js';
import { parseConfig, withDatabaseUrl } from './config/parse-config.js';
import { processEnvironment } from './config/process-environment.js';
import { AppLogger } from './logging/app-logger.js';
import { platformOf } from './platform.module.js';
import { StandaloneModule } from './standalone.module.js';
import { EmbeddedPostgres } from './standalone/embedded-postgres.js';
import { welcome } from './standalone/welcome.js';

/** Everything in one process, for a machine that has only Node. PostgreSQL is started where none is named, and stopped last. */
await run(async () => {
  const told = parseConfig(processEnvironment(), 'standalone');
  const logger = new AppLogger(told.log);
  const extensions = await loadExtensions(told);
  await assertPortFree(told.http.host, told.http.port);

  const embedded = told.database.url
    ? undefined
    : await EmbeddedPostgres.start(told.dataDir, (line) => logger.log(line, 'Standalone'));
  try {
    const config = embedded ? withDatabaseUrl(told, embedded.url) : told;
    const platform = platformOf(config, extensions);
    await migrateStores(config);
    await checkStores(platform);

    const app = await startApi(StandaloneModule.register(platform), config);
    closeOnSignal(async () => {
      await app.close();
      await embedded?.stop();
    });
    process.stdout.write(welcome(addressOf(config), config));
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
});
