import type { Lane } from '../job-queue.js';

/** Every queue that this process knows, in every shard. */
export class Lanes {
  constructor(
    readonly queues: readonly string[],
    readonly shards: number,
  ) {}

  all(): Lane[] {
    return [...Array(this.shards).keys()].flatMap((shard) => this.queues.map((queue) => ({ queue, shard })));
  }
}
