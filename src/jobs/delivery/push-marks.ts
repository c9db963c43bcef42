import type { QueuedDelivery } from '../job-queue.js';
import type { JobRepository } from '../job-repository.js';
import type { LanePushes } from './lane-pushes.js';

/** Deliveries that are remembered at most before they are marked. */
const MOST = 10_000;

/**
 * What the queue was given, and the record does not say so yet. It is said late: most jobs are over by then, and spare the
 * record a write. A delivery without a mark may be pushed again, and is the same one.
 */
export class PushMarks {
  #pushed: { at: number; deliveries: readonly QueuedDelivery[] }[] = [];
  #count = 0;
  #timer?: NodeJS.Timeout;
  #writing?: Promise<unknown>;

  constructor(
    private readonly jobs: JobRepository,
    private readonly pushes: LanePushes,
  ) {}

  get isFull(): boolean {
    return this.#count >= MOST;
  }

  add(deliveries: readonly QueuedDelivery[]): void {
    if (deliveries.length === 0) return;
    this.#pushed.push({ at: performance.now(), deliveries });
    this.#count += deliveries.length;
  }

  /** Writes what is there by then, in so long (ms). */
  writeLater(delay: number, onError: (error: unknown) => void): void {
    if (this.#count === 0 || (this.#timer && !this.isFull)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#writing = Promise.all([this.#writing, this.write().catch(onError)]);
      },
      this.isFull ? 0 : delay,
    );
  }

  /**
   * Marks those that are still waiting, and gives them to the queue again, which leaves them as they are: but if it was
   * wiped since the push, whoever filled it again could not know of them.
   */
  async write(): Promise<void> {
    const pushed = this.#pushed;
    this.#pushed = [];
    this.#count = 0;
    if (pushed.length === 0) return;

    const now = performance.now();
    const marks = pushed.flatMap(({ at, deliveries }) =>
      deliveries.map((delivery) => ({ ...delivery, ago: Math.round(now - at) })),
    );
    const waiting = await this.jobs.markPushed(marks);
    if (waiting.length > 0) await this.pushes.push(waiting);
  }

  /** What is known by now is written before this resolves, or cannot be. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    await this.write().catch(() => undefined);
  }
}
