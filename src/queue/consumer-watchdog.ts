import { Logger } from '@nestjs/common';
import { Repeater } from '../jobs/delivery/repeater.js';
import type { JobQueue, Lane } from '../jobs/job-queue.js';

/** What the watchdog looks at: a lane's consumer in this process. */
export interface WatchedConsumer {
  readonly lane: Lane;
  /** ms since it last took or ended a delivery; 0 while it has its hands full. */
  silentFor(): number;
  /** Makes its waiting connection anew. Ends within a bounded time. */
  reconnect(): Promise<void>;
}

const INTERVAL = 5_000;
/** A free consumer that takes nothing for so long (ms), while deliveries wait, does not hear of them. */
const SUSPICIOUS = 10_000;

/**
 * Wakes consumers that stay silent although deliveries wait for them: a reconnect may leave BullMQ waiting on a
 * connection that is dead, or that listens no more.
 */
export class ConsumerWatchdog {
  readonly #logger = new Logger('Queue');
  readonly #looks = new Repeater(() => this.look(), INTERVAL);

  constructor(
    private readonly queue: Pick<JobQueue, 'depth'>,
    private readonly consumers: readonly WatchedConsumer[],
  ) {}

  start(): void {
    this.#looks.start();
  }

  async stop(): Promise<void> {
    await this.#looks.stop();
  }

  /** One look at all. Exposed for tests. */
  async look(): Promise<void> {
    for (const consumer of this.consumers) {
      const { lane } = consumer;
      if (consumer.silentFor() < SUSPICIOUS) continue;
      const depth = await this.queue.depth(lane).catch(() => 0); // away: BullMQ waits for it by itself
      if (depth === 0 || consumer.silentFor() < SUSPICIOUS) continue;
      this.#logger.warn('silent consumer reconnected', { ...lane, waiting: depth });
      await consumer.reconnect();
    }
  }
}
