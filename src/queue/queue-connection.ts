import type { OnApplicationShutdown } from '@nestjs/common';
import type { ConnectionOptions, Queue, Worker } from 'bullmq';
import type { Lane, QueueMark } from '../jobs/job-queue.js';
import type { Json } from '../jobs/job.js';
import type { LaneConsumer, RunDelivery } from './lane-consumer.js';
import { OutageLog } from './outage-log.js';
import { RETENTION } from './retention.js';

/** What people see of a delivery in Bull Board. Workers take the data from the record. */
export interface DeliveryCard {
  job: string;
  data: Json;
}

/** One delivery, as BullMQ is given it. */
export interface DeliveryEntry {
  id: string;
  name: string;
  data: DeliveryCard;
  /** From 1, which is given out first. */
  priority: number;
}

/** What all lanes of a process share: the connection for pushing and looking, and what the backends do differently. */
export abstract class QueueConnection implements OnApplicationShutdown {
  readonly outages = new OutageLog();

  /** What BullMQ's queues are given. */
  abstract readonly producer: ConnectionOptions;

  /** BullMQ keeps its backend process-wide: said again before anything of BullMQ's is made. */
  abstract selectBackend(): void;

  /**
   * Called once the queues are made and their errors are listened to. Hardly waits, and a server that is down is no error.
   * @throws Error in one line where the server answers, and cannot be used
   */
  abstract connect(): Promise<void>;

  /** The server that a lane is on: lanes with the same one are away together. Empty where there is but one. */
  serverOf(_lane: Lane): string {
    return '';
  }

  /** What a person should read as the cause of a failed call. @param server where it was known */
  abstract reasonFor(error: unknown, server: string): unknown;

  /** Each worker may need a connection of its own. */
  abstract makeRoom(workers: number): void;

  /** What takes a worker's deliveries in its place, connected or not. @returns undefined where it takes them by itself */
  abstract consumerOf(worker: Worker, run: RunDelivery): LaneConsumer | undefined;

  /** @throws Error where a server does not answer */
  abstract ping(): Promise<void>;

  /** Those that the queue knows already stay as they are. */
  async add(queue: Queue<DeliveryCard>, entries: readonly DeliveryEntry[]): Promise<void> {
    await queue.addBulk(
      entries.map(({ id, name, data, priority }) => ({
        name,
        data,
        opts: { jobId: id, attempts: 1, priority, ...RETENTION },
      })),
    );
  }

  abstract readMark(lane: Lane): Promise<QueueMark | undefined>;

  abstract writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean>;

  abstract onApplicationShutdown(): Promise<void> | void;
}
