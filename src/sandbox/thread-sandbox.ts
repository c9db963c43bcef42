import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { AppConfig } from '../config/app-config.js';
import type { JobContext } from '../job-types/job-type.js';
import { Sandbox } from '../job-types/sandbox.js';
import type { Json } from '../jobs/job.js';
import { RetryableFailure } from '../jobs/job.errors.js';
import type { AttemptRoom } from '../jobs/running/attempt-room.js';
import { AttemptAborted } from '../jobs/running/running-jobs.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { SandboxThread } from './sandbox-thread.js';
import { ThreadPool } from './thread-pool.js';

/** The sandbox of this process, over a few threads that stay warm. */
@Injectable()
export class ThreadSandbox extends Sandbox implements OnApplicationShutdown {
  readonly #logger = new Logger('Sandbox');
  readonly #pool: ThreadPool<SandboxThread>;

  constructor(
    private readonly config: AppConfig,
    private readonly identity: WorkerIdentity,
  ) {
    super();
    this.#pool = new ThreadPool(config.sandbox.threads, () => this.start());
  }

  async enter(type: string, signal: AbortSignal): Promise<AttemptRoom | undefined> {
    try {
      const thread = await this.#pool.take(signal);
      return thread && new ThreadRoom(type, thread, this.#pool);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.error('no thread starts', { type, reason });
      return new NoRoom(`No thread starts for the handler: ${reason}`);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pool.close();
  }

  private async start(): Promise<SandboxThread> {
    const began = performance.now();
    const queues = this.identity.queues.map(({ name }) => name);
    const thread = await SandboxThread.start({ config: this.config, queues }, this.config.sandbox.memory);
    this.#logger.log('thread started', { durationMs: Math.round(performance.now() - began) });
    return thread;
  }
}

/** A thread for one attempt. */
class ThreadRoom implements AttemptRoom {
  #handling: Promise<unknown> = Promise.resolve();
  #handled = true;
  #signal?: AbortSignal;

  constructor(
    private readonly type: string,
    private readonly thread: SandboxThread,
    private readonly pool: ThreadPool<SandboxThread>,
  ) {}

  run(data: Json, context: JobContext): Promise<unknown> {
    this.#signal = context.signal;
    this.#handled = false;
    const handling = this.thread.run(this.type, data, context).finally(() => (this.#handled = true));
    this.#handling = handling;
    return handling;
  }

  /** The thread is free once the handler has ended, by itself or with its thread. */
  leave(): void {
    const reason: unknown = this.#signal?.reason;
    const nobodyWaits = reason instanceof AttemptAborted && reason.why === 'shutdown';
    if (!this.#handled && nobodyWaits) void this.thread.kill();
    const free = (): void => this.pool.giveBack(this.thread);
    this.#handling.then(free, free);
  }
}

/** Where no thread started: the attempt fails, and the next one may find another worker. */
class NoRoom implements AttemptRoom {
  constructor(private readonly reason: string) {}

  async run(): Promise<never> {
    throw new RetryableFailure(this.reason, 'SANDBOX_NOT_STARTED');
  }

  leave(): void {
    // nothing to give back
  }
}
