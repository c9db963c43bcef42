import type { Lane } from '../jobs/job-queue.js';

/** What BullMQ, Nest and Bull Board call a lane. */
export function laneName({ queue, shard }: Lane): string {
  return `${queue}-${shard}`;
}

/** What a lane's place in a Redis Cluster follows from. */
export function laneTag(prefix: string, lane: Lane): string {
  return `${prefix}:${laneName(lane)}`;
}

/** Stands before every Redis key of a lane; its braces keep them all in one slot of a Redis Cluster. */
export function lanePrefix(prefix: string, lane: Lane): string {
  return `{${laneTag(prefix, lane)}}`;
}

export function lanesOf(queues: readonly string[], shards: number): Lane[] {
  return queues.flatMap((queue) => Array.from({ length: shards }, (_, shard) => ({ queue, shard })));
}

/** One shard's part of a queue's concurrency in this process: together they make the total, and none is below 1. */
export function concurrencyOf(shard: number, total: number, shards: number): number {
  const remainder = shard < total % shards ? 1 : 0;
  return Math.max(1, Math.floor(total / shards) + remainder);
}
