import { randomUUID } from 'node:crypto';
import {
  type Delivery,
  JobQueue,
  type Lane,
  type QueuedDelivery,
  type QueueMark,
  QueueUnavailable,
} from './job-queue.js';

interface Entry {
  delivery: QueuedDelivery;
  state: 'waiting' | 'active' | 'finished';
}

/** The queue's twin for tests: in this process, and as unreliable as it is told to be. */
export class InMemoryJobQueue extends JobQueue {
  private readonly entries = new Map<string, Entry>();
  private readonly epochs = new Map<string, number>();
  private server = randomUUID();
  private down = false;

  /** From now on every call fails. */
  goDown(): void {
    this.down = true;
  }

  comeBack(): void {
    this.down = false;
  }

  /** Loses everything, as a FLUSHALL does. */
  wipe(): void {
    this.entries.clear();
    this.epochs.clear();
  }

  /** Comes back as another server with the same contents, as a Redis with a full append-only file does. */
  restart(): void {
    this.server = randomUUID();
    this.down = false;
  }

  /** As a worker does: the lowest priority number first, then the oldest. It stays active until finished. */
  take(lane: Lane): QueuedDelivery | undefined {
    const [next] = this.waiting(lane).sort((a, b) => a.delivery.priority - b.delivery.priority);
    if (next) next.state = 'active';
    return next?.delivery;
  }

  /** A worker has acknowledged it: its id stays known. */
  finish(delivery: Delivery): void {
    const entry = this.entries.get(idOf(delivery));
    if (entry) entry.state = 'finished';
  }

  async push(deliveries: readonly QueuedDelivery[]): Promise<void> {
    await this.answer();
    for (const delivery of deliveries) {
      const id = idOf(delivery);
      if (!this.entries.has(id)) this.entries.set(id, { delivery, state: 'waiting' });
    }
  }

  async depth(lane: Lane): Promise<number> {
    await this.answer();
    return this.waiting(lane).length;
  }

  async missing(lane: Lane, deliveries: readonly Delivery[]): Promise<Delivery[]> {
    await this.answer();
    return deliveries.filter((delivery) => {
      const entry = this.entries.get(idOf(delivery));
      return !entry || entry.state === 'finished' || !isIn(lane, entry.delivery);
    });
  }

  async readMark(lane: Lane): Promise<QueueMark | undefined> {
    await this.answer();
    const epoch = this.epochs.get(keyOf(lane));
    return epoch === undefined ? undefined : { epoch, server: this.server };
  }

  async writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean> {
    await this.answer();
    if (after !== undefined && this.epochs.get(keyOf(lane)) !== after) return false;
    this.epochs.set(keyOf(lane), epoch);
    return true;
  }

  async ping(): Promise<void> {
    await this.answer();
  }

  private waiting(lane: Lane): Entry[] {
    return [...this.entries.values()].filter(
      ({ delivery, state }) => state === 'waiting' && isIn(lane, delivery),
    );
  }

  private async answer(): Promise<void> {
    await Promise.resolve();
    if (this.down) throw new QueueUnavailable('it is down');
  }
}

function idOf({ jobId, delivery }: Delivery): string {
  return `${jobId}_${delivery}`;
}

function keyOf({ queue, shard }: Lane): string {
  return `${queue}-${shard}`;
}

function isIn(lane: Lane, delivery: Lane): boolean {
  return keyOf(lane) === keyOf(delivery);
}
