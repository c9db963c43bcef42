import { byLane, laneKey } from '../by-lane.js';
import { QueueUnavailable, type JobQueue, type Lane, type QueuedDelivery } from '../job-queue.js';

/** Gives deliveries to the queue, lane by lane: one whose server is away holds up no other. */
export class LanePushes {
  /** Lanes whose queue did not answer: what is due there is left to the record, until the queue answers again. */
  readonly #away = new Map<string, Lane>();

  constructor(private readonly queue: JobQueue) {}

  isAway(lane: Lane): boolean {
    return this.#away.has(laneKey(lane));
  }

  /** @returns what the queue took */
  async push(deliveries: readonly QueuedDelivery[]): Promise<QueuedDelivery[]> {
    const batches = byLane(deliveries).map(async (batch) => {
      try {
        await this.queue.push(batch);
        return batch;
      } catch (reason) {
        if (this.foundAway(batch[0], reason)) return [];
        throw reason;
      }
    });
    return (await Promise.all(batches)).flat();
  }

  /** An outage of the queue is told by its adapter, once. @returns false: the reason is another one */
  foundAway(lane: Lane, reason: unknown): boolean {
    if (!(reason instanceof QueueUnavailable)) return false;
    this.#away.set(laneKey(lane), lane);
    return true;
  }

  /** Also at lanes that another process relays: what is fresh here goes there again. */
  async lookAfterAway(): Promise<void> {
    for (const [key, lane] of this.#away) {
      try {
        await this.queue.depth(lane);
        this.#away.delete(key);
      } catch (reason) {
        if (!this.foundAway(lane, reason)) throw reason;
      }
    }
  }
}
