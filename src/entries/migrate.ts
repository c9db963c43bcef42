import { migrateStores } from '../boot/migrate-stores.js';
import { run } from '../boot/run.js';
import { parseConfig } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';

/** Brings the database up to date, then ends. */
await run(async () => {
  const ran = await migrateStores(parseConfig(processEnvironment(), 'migrate'));
  process.stdout.write(ran.length > 0 ? `Applied: ${ran.join(', ')}\n` : 'The schema is up to date.\n');
});
