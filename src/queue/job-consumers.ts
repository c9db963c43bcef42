import type { OnApplicationShutdown } from '@nestjs/common';
import type { BullRegistrar } from '@nestjs/bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerWatchdog } from './consumer-watchdog.js';
import type { JobsProcessor } from './jobs.processor.js';
import type { QueueConnection } from './queue-connection.js';
import { within } from './within.js';

/** How long a boot waits for the queue: a worker may start while Redis is down. */
const LONGEST_START = 1_000;
/** How long BullMQ gets to acknowledge what has just ended. What it misses is delivered again and found to be gone. */
const ACKNOWLEDGEMENT = 100;

/** All workers of this process: they fetch nothing before `start`, and are gone after `close`. */
export class JobConsumers implements OnApplicationShutdown {
  private started = false;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly registrar: BullRegistrar,
    private readonly connection: QueueConnection,
    private readonly processors: readonly JobsProcessor[],
    private readonly watchdog: ConsumerWatchdog,
    /** Closes what the workers share. */
    private readonly release: () => void,
  ) {}

  /** @throws Error where the queue refuses the workers; not where it is only down */
  async start(): Promise<void> {
    if (this.started || this.closing) return;
    this.connection.selectBackend();
    this.connection.makeRoom(this.processors.length);
    this.registrar.register();
    for (const processor of this.processors) processor.start();
    this.started = true;
    this.watchdog.start();

    const ready = Promise.all(this.processors.map(({ worker }) => worker.waitUntilReady()));
    await Promise.race([ready, sleep(LONGEST_START, undefined, { ref: false })]);
  }

  /** Whether deliveries are fetched. */
  isRunning(): boolean {
    return this.started && !this.closing && this.processors.every(({ worker }) => !worker.isPaused());
  }

  /** Stops fetching; what runs goes on. A delivery that was on its way is handed back. */
  async pause(): Promise<void> {
    if (!this.started) return;
    await Promise.all([this.watchdog.stop(), ...this.processors.map((processor) => processor.pause())]);
  }

  /** Waits for what runs, `timeoutMs` at most, then closes all workers whether or not the queue answers. */
  close(timeoutMs: number): Promise<void> {
    this.closing ??= (this.started ? this.shutDown(timeoutMs) : Promise.resolve()).finally(this.release);
    return this.closing;
  }

  /** For a shutdown in which nobody called `close`. It comes before BullExplorer's own, which may wait for ever. */
  onApplicationShutdown(): Promise<void> {
    return this.close(LONGEST_START);
  }

  private async shutDown(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    await this.pause();
    while (this.processors.some(({ running }) => running > 0) && Date.now() < deadline) await sleep(20);
    await sleep(ACKNOWLEDGEMENT);

    // Without force BullMQ waits for its server, which may never answer; and a second close cannot force the first.
    await Promise.all(this.processors.map(closeByForce));
  }
}

async function closeByForce({ worker }: JobsProcessor): Promise<void> {
  const backend = worker.getBackend();
  backend.disconnectBlocking(false).catch(() => undefined); // else PostgreSQL's wait ends seconds later
  await within(LONGEST_START, worker.close(true)).catch(() => undefined);

  // BullMQ resets a blocking read that hangs, and its reconnect may come after the close. On Redis alone.
  const comeback = backend.blockingClient?.then((client) => client.on('connect', () => client.disconnect()));
  comeback?.catch(() => undefined);
}
