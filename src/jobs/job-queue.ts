import type { Json } from './job.js';

/** One shard of one queue: where a job's deliveries go. A job's shard follows from its id. */
export interface Lane {
  queue: string;
  shard: number;
}

/** A one-shot delivery of a job. A retry, reap or release makes the next one; a claim requires the current one. */
export interface Delivery {
  jobId: string;
  /** 1-based, grows over the whole life of the job. */
  delivery: number;
}

/** A delivery on its way to the queue, with what people see of it there. */
export interface QueuedDelivery extends Delivery, Lane {
  type: string;
  priority: number;
  /** A short copy for display: sensitive fields masked, long ones cut. Never what the worker runs on. */
  display: Json;
}

/** Proof that a lane's queue is the one that was filled before. `epoch` grows; `server` changes when the server does. */
export interface QueueMark {
  epoch: number;
  server: string;
}

/**
 * The queue delivers and decides nothing: all it holds can be rebuilt from the record.
 * Every call ends within a bounded time and throws QueueUnavailable when the queue is down or hangs.
 */
export abstract class JobQueue {
  /** Adds deliveries that are due now; one that the queue knows already is left as it is. */
  abstract push(deliveries: readonly QueuedDelivery[]): Promise<void>;

  /** Deliveries that no worker has taken yet. */
  abstract depth(lane: Lane): Promise<number>;

  /** Those of the deliveries that the queue will not hand to a worker any more (unknown, or finished). */
  abstract missing(lane: Lane, deliveries: readonly Delivery[]): Promise<Delivery[]>;

  /** The lane's mark; undefined when the queue was wiped or never marked. */
  abstract readMark(lane: Lane): Promise<QueueMark | undefined>;

  /**
   * @param after write only where the mark still bears this epoch, so that a wipe in between is not covered up
   * @returns whether it was written
   */
  abstract writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean>;

  /** Resolves when every lane's server answers. */
  abstract ping(): Promise<void>;
}

export class QueueUnavailable extends Error {
  constructor(cause?: unknown) {
    super(`The queue does not answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'QueueUnavailable';
  }
}
