import type { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import type { QueuedDelivery } from '../job-queue.js';
import type { DueDelivery } from '../job-repository.js';

/** A due delivery with what people may see of its data in the queue. */
export function queuedDelivery(due: DueDelivery, types: JobTypeRegistry): QueuedDelivery {
  const { jobId, delivery, queue, shard, type, priority, data } = due;
  const display = data === undefined ? '(too large to show)' : (types.find(type)?.display(data) ?? null);
  return { jobId, delivery, queue, shard, type, priority, display };
}
