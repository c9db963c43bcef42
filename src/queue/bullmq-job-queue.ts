import type { BulkJobOptions, Queue } from 'bullmq';
import type { Json } from '../jobs/job.js';
import {
  type Delivery,
  JobQueue,
  type Lane,
  type QueuedDelivery,
  type QueueMark,
  QueueUnavailable,
} from '../jobs/job-queue.js';
import { deliveryId } from './delivery-id.js';
import { laneName } from './lanes.js';
import type { QueueConnection } from './queue-connection.js';
import { RETENTION } from './retention.js';
import { within } from './within.js';

/** The client's own timeouts come first; this holds where they do not reach. */
const LONGEST_CALL = 2_500;

/** A paused queue's deliveries count as waiting. */
const DELIVERABLE = new Set(['waiting', 'prioritized', 'active', 'delayed', 'waiting-children']);

/** What people see of a delivery in Bull Board. Workers take the data from the record. */
export interface DeliveryCard {
  job: string;
  data: Json;
}

/** The queue on BullMQ: one BullMQ queue a lane, on Redis or PostgreSQL. */
export class BullMqJobQueue extends JobQueue {
  private readonly queues: ReadonlyMap<string, Queue<DeliveryCard>>;

  constructor(
    private readonly connection: QueueConnection,
    queues: readonly Queue<DeliveryCard>[],
  ) {
    super();
    this.queues = new Map(queues.map((queue) => [queue.name, queue]));
    for (const queue of queues) queue.on('error', (error) => connection.outages.failed(error));
  }

  async push(deliveries: readonly QueuedDelivery[]): Promise<void> {
    await this.bounded(async () => {
      const batches = [...byLane(deliveries)];
      await Promise.all(batches.map(([lane, batch]) => this.queue(lane).addBulk(batch.map(entryOf))));
    });
  }

  depth(lane: Lane): Promise<number> {
    return this.bounded(() => this.queue(laneName(lane)).getJobCountByTypes('waiting', 'prioritized'));
  }

  missing(lane: Lane, deliveries: readonly Delivery[]): Promise<Delivery[]> {
    return this.bounded(async () => {
      const queue = this.queue(laneName(lane));
      const states = await Promise.all(deliveries.map((delivery) => queue.getJobState(deliveryId(delivery))));
      return deliveries.filter((_, index) => !DELIVERABLE.has(states[index] ?? 'unknown'));
    });
  }

  readMark(lane: Lane): Promise<QueueMark | undefined> {
    return this.bounded(() => this.connection.readMark(lane));
  }

  writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean> {
    return this.bounded(() => this.connection.writeMark(lane, epoch, after));
  }

  ping(): Promise<void> {
    return this.bounded(() => this.connection.ping());
  }

  private queue(lane: string): Queue<DeliveryCard> {
    const queue = this.queues.get(lane);
    if (!queue) throw new Error(`this process has no lane ${lane}`);
    return queue;
  }

  private async bounded<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = await within(LONGEST_CALL, call());
      this.connection.outages.answered();
      return answer;
    } catch (error) {
      const reason = this.connection.reasonFor(error);
      this.connection.outages.failed(reason);
      throw new QueueUnavailable(reason);
    }
  }
}

function byLane(deliveries: readonly QueuedDelivery[]): Map<string, QueuedDelivery[]> {
  const lanes = new Map<string, QueuedDelivery[]>();
  for (const delivery of deliveries) {
    const lane = laneName(delivery);
    const batch = lanes.get(lane);
    if (batch) batch.push(delivery);
    else lanes.set(lane, [delivery]);
  }
  return lanes;
}

function entryOf(delivery: QueuedDelivery): { name: string; data: DeliveryCard; opts: BulkJobOptions } {
  return {
    name: delivery.type,
    data: { job: `/jobs/${delivery.jobId}`, data: delivery.display },
    opts: {
      jobId: deliveryId(delivery),
      attempts: 1,
      // To BullMQ 0 is no priority, and goes before all others: every delivery bears one.
      priority: delivery.priority + 1,
      ...RETENTION,
    },
  };
}
