import type { OnApplicationShutdown } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { byLane } from '../jobs/by-lane.js';
import {
  type Delivery,
  JobQueue,
  type Lane,
  type QueuedDelivery,
  type QueueMark,
  QueueUnavailable,
} from '../jobs/job-queue.js';
import { Cordon } from './cordon.js';
import { deliveryId } from './delivery-id.js';
import { laneName } from './lanes.js';
import type { DeliveryCard, DeliveryEntry, QueueConnection } from './queue-connection.js';
import { within } from './within.js';

/** The client's own timeouts come first; this holds where they do not reach. */
const LONGEST_CALL = 2_500;

/** A paused queue's deliveries count as waiting. */
const DELIVERABLE = new Set(['waiting', 'prioritized', 'active', 'delayed', 'waiting-children']);

/** The queue on BullMQ: one BullMQ queue a lane, on Redis or PostgreSQL. */
export class BullMqJobQueue extends JobQueue implements OnApplicationShutdown {
  private readonly queues: ReadonlyMap<string, Queue<DeliveryCard>>;
  private readonly cordon = new Cordon();

  constructor(
    private readonly connection: QueueConnection,
    queues: readonly Queue<DeliveryCard>[],
  ) {
    super();
    this.queues = new Map(queues.map((queue) => [queue.name, queue]));
    for (const queue of queues) queue.on('error', (error) => connection.outages.failed(error));
  }

  async push(deliveries: readonly QueuedDelivery[]): Promise<void> {
    await Promise.all(byLane(deliveries).map((batch) => this.pushTo(batch)));
  }

  depth(lane: Lane): Promise<number> {
    return this.bounded(lane, (queue) => queue.getJobCountByTypes('waiting', 'prioritized'));
  }

  missing(lane: Lane, deliveries: readonly Delivery[]): Promise<Delivery[]> {
    return this.bounded(lane, async (queue) => {
      const states = await Promise.all(deliveries.map((delivery) => queue.getJobState(deliveryId(delivery))));
      return deliveries.filter((_, index) => !DELIVERABLE.has(states[index] ?? 'unknown'));
    });
  }

  readMark(lane: Lane): Promise<QueueMark | undefined> {
    return this.bounded(lane, () => this.connection.readMark(lane));
  }

  writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean> {
    return this.bounded(lane, () => this.connection.writeMark(lane, epoch, after));
  }

  async ping(): Promise<void> {
    try {
      await within(LONGEST_CALL, this.connection.ping());
      this.cordon.lift();
    } catch (error) {
      throw new QueueUnavailable(this.connection.reasonFor(error, ''));
    }
  }

  onApplicationShutdown(): void {
    this.cordon.close();
  }

  private async pushTo(batch: readonly [QueuedDelivery, ...QueuedDelivery[]]): Promise<void> {
    await this.bounded(batch[0], (queue) => this.connection.add(queue, batch.map(entryOf)));
  }

  private queue(lane: Lane): Queue<DeliveryCard> {
    const queue = this.queues.get(laneName(lane));
    if (!queue) throw new Error(`this process has no lane ${laneName(lane)}`);
    return queue;
  }

  private async bounded<T>(lane: Lane, call: (queue: Queue<DeliveryCard>) => Promise<T>): Promise<T> {
    const server = this.connection.serverOf(lane);
    const away = this.cordon.around(server);
    if (away) throw new QueueUnavailable(away.reason);

    const queue = this.queue(lane);
    try {
      return await this.answered(server, call(queue));
    } catch (error) {
      const reason = this.connection.reasonFor(error, server);
      this.connection.outages.failed(reason, server);
      if (!isRefusalOfOne(reason))
        this.cordon.put(server, reason, () => this.answered(server, this.connection.readMark(lane)));
      throw new QueueUnavailable(reason);
    }
  }

  private async answered<T>(server: string, call: Promise<T>): Promise<T> {
    const answer = await within(LONGEST_CALL, call);
    this.connection.outages.answered(server);
    return answer;
  }
}

/** The server answers, and has something against this call: others may do better. */
function isRefusalOfOne(reason: unknown): boolean {
  if (!(reason instanceof Error) || reason.name !== 'ReplyError') return false;
  return !/^(?:CLUSTERDOWN|LOADING|MASTERDOWN)/.test(reason.message);
}

function entryOf(delivery: QueuedDelivery): DeliveryEntry {
  return {
    id: deliveryId(delivery),
    name: delivery.type,
    data: { job: `/jobs/${delivery.jobId}`, data: delivery.display },
    // To BullMQ 0 is no priority, and goes before all others: every delivery bears one.
    priority: delivery.priority + 1,
  };
}
