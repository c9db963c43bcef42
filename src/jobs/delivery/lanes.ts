import type { Lane } from '../job-queue.js';

/** Every queue of the installation, in every shard. */
export class Lanes {
  constructor(
    readonly queues: readonly string[],
    readonly shards: number,
  ) {}

  /** Lanes of the given shards; of all where none are given. */
  of(shards: readonly number[] = [...Array(this.shards).keys()]): Lane[] {
    return shards.flatMap((shard) => this.queues.map((queue) => ({ queue, shard })));
  }
}
