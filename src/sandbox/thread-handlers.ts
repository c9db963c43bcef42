import { Module, type DynamicModule, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BootLogger } from '../boot/boot-logger.js';
import { loadExtensions } from '../boot/load-extensions.js';
import { ConfigModule } from '../config/config.module.js';
import { JobHandlers } from '../job-types/job-handlers.js';
import type { JobContext } from '../job-types/job-type.js';
import { JobTypesModule, sandboxesIn, typesIn } from '../job-types/job-types.module.js';
import { SandboxedHandler } from '../job-types/sandbox.js';
import { RetryableFailure } from '../jobs/job.errors.js';
import type { Json } from '../jobs/job.js';
import { platformOf, type Platform } from '../platform.js';
import type { ThreadData } from './thread-messages.js';

type Runs = (data: Json, context: JobContext) => Promise<unknown>;

/** The sandboxed handlers with what they are given, and nothing else of the platform: no record, no queue, no routes. */
@Module({})
class ThreadModule {
  static register({ config, features }: Platform, handlers: DynamicModule): DynamicModule {
    return {
      module: ThreadModule,
      imports: [ConfigModule.forRoot(config), JobTypesModule.catalogue(features), handlers],
    };
  }
}

/** What a thread can run. Each declaration is made for itself: one that asks for what a thread has not spoils no other. */
export class ThreadHandlers {
  readonly #runs = new Map<string, Runs>();
  readonly #apps: INestApplicationContext[] = [];

  static async start({ config, queues }: ThreadData): Promise<ThreadHandlers> {
    const platform = platformOf(config, await loadExtensions(config));
    const made = new ThreadHandlers();
    for (const { types, handlers } of sandboxesIn(platform.features, (queue) => queues.includes(queue))) {
      await made.add(platform, types, handlers);
    }
    return made;
  }

  async run(type: string, data: Json, context: JobContext): Promise<unknown> {
    const run = this.#runs.get(type);
    if (!run) throw notStarted(`the thread does not know ${type}`);
    return run(data, context);
  }

  async close(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.close()));
  }

  private async add(platform: Platform, types: string[], handlers: DynamicModule): Promise<void> {
    try {
      const app = await NestFactory.createApplicationContext(ThreadModule.register(platform, handlers), {
        abortOnError: false,
        logger: new BootLogger(platform.config.log),
      });
      this.#apps.push(app);
      for (const type of types) this.#runs.set(type, runsOf(type, platform, app.get(JobHandlers)));
    } catch (error) {
      const failure = notStarted(error instanceof Error ? error.message : String(error));
      for (const type of types) this.#runs.set(type, () => Promise.reject(failure));
    }
  }
}

function runsOf(type: string, { features }: Platform, handlers: JobHandlers): Runs {
  const definition = typesIn(features).find(({ name }) => name === type);
  const handler = handlers.find(type);
  if (!definition || !handler || handler instanceof SandboxedHandler)
    throw new Error(`no handler for ${type}`);
  return async (data, context) => handler.run(definition.parse(data), context);
}

function notStarted(reason: string): RetryableFailure {
  return new RetryableFailure(`The handler cannot be made in a thread: ${reason}`, 'SANDBOX_NOT_STARTED');
}
