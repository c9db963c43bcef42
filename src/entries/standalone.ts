import type { NestExpressApplication } from '@nestjs/platform-express';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressOf, portOf } from '../boot/address.js';
import { assertPortFree } from '../boot/assert-port-free.js';
import { checkStores } from '../boot/check-stores.js';
import { closeApi } from '../boot/close-api.js';
import { closeOnSignal } from '../boot/close-on-signal.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { migrateStores } from '../boot/migrate-stores.js';
import { run } from '../boot/run.js';
import type { AppConfig } from '../config/app-config.js';
import { parseConfig, withDatabaseUrl } from '../config/parse-config.js';
import { processEnvironment } from '../config/process-environment.js';
import { firstJobCommand } from '../job-types/first-job.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import type { ModuleImport } from '../job-types/job-types.module.js';
import { AppLogger } from '../logging/app-logger.js';
import { platformOf } from '../platform.js';
import { assertWritable } from '../standalone/assert-writable.js';
import { DataFolderLock } from '../standalone/data-folder-lock.js';
import { EmbeddedPostgres } from '../standalone/embedded-postgres.js';
import { welcome } from '../standalone/welcome.js';

/** Beyond the grace of running jobs, in ms: PostgreSQL must be stopped before the process may end. */
const CLOSE_AFTER_GRACE = 3_000;

/** Everything in one process, for a machine that has only Node. PostgreSQL is started where none is named, and stopped last. */
class Standalone {
  #embedded?: EmbeddedPostgres;
  #app?: NestExpressApplication;
  #starting?: Promise<void>;

  constructor(
    private readonly told: AppConfig,
    private readonly extensions: ModuleImport[],
  ) {}

  /** @param stopping goes no further once it is aborted; `stop` is then called by whoever aborted it */
  async start(stopping: AbortSignal): Promise<void> {
    this.#starting = this.startParts(stopping);
    try {
      await this.#starting;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Waits for the step that is under way: PostgreSQL must not outlive this process. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const patience = this.told.worker.shutdownGrace + CLOSE_AFTER_GRACE;
    try {
      await Promise.race([this.#app && closeApi(this.#app), sleep(patience, undefined, { ref: false })]);
    } finally {
      await this.#embedded?.stop();
    }
  }

  private async startParts(stopping: AbortSignal): Promise<void> {
    const config = await this.withDatabase();
    if (config.mail.directory) await assertWritable(config.mail.directory);
    if (stopping.aborted) return;

    const platform = platformOf(config, this.extensions);
    await migrateStores(config);
    await checkStores(platform);
    if (stopping.aborted) return;

    const { startStandalone } = await application();
    this.#app = await startStandalone(platform);
    if (!stopping.aborted) process.stdout.write(this.welcome(this.#app, config));
  }

  private welcome(app: NestExpressApplication, config: AppConfig): string {
    const address = addressOf(config, portOf(app));
    const types = app.get(JobTypeRegistry, { strict: false });
    return welcome(address, firstJobCommand(types, address, config.http.apiKeys.length > 0), config);
  }

  private async withDatabase(): Promise<AppConfig> {
    const { told } = this;
    if (told.database.url) return told;

    void application().catch(() => undefined); // loads while PostgreSQL starts
    const logger = new AppLogger(told.log);
    this.#embedded = await EmbeddedPostgres.start(told.dataDir, (line) => logger.log(line, 'Standalone'));
    return withDatabaseUrl(told, this.#embedded.url);
  }
}

/** Nest takes most of a start to load: what would stop the start is told before. */
const application = () => import('../boot/start-standalone.js');

await run(async () => {
  const told = parseConfig(processEnvironment(), 'standalone');
  const extensions = await loadExtensions(told);
  // Before the port, which the same process holds: the folder is the cause that helps.
  if (!told.database.url) DataFolderLock.assertFree(told.dataDir);
  await assertPortFree(told.http.host, told.http.port);

  const standalone = new Standalone(told, extensions);
  const stopping = closeOnSignal(told, () => standalone.stop());
  await standalone.start(stopping);
});
