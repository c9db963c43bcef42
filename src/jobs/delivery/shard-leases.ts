import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { JobRepository } from '../job-repository.js';
import { Lanes } from './lanes.js';

/** By the database's clock. A holder that dies or hangs is followed by another process after so long (ms). */
const LEASE = 5_000;
const RENEW_AFTER = 1_500;

/**
 * Which shards' backlogs this process looks after. A lease in a row, not a session lock: a process that is stopped with
 * its session open would hold such a lock for ever. Two holders at once would only push twice what is delivered once.
 */
@Injectable()
export class ShardLeases {
  readonly #holder = randomUUID();
  #shards: number[] = [];
  #renewed = -Infinity;

  constructor(
    private readonly jobs: JobRepository,
    private readonly lanes: Lanes,
  ) {}

  /** Takes what is free, renews what is held. @throws RecordUnavailable */
  async held(): Promise<number[]> {
    if (performance.now() - this.#renewed < RENEW_AFTER) return this.#shards;

    this.#shards = [];
    this.#shards = await this.jobs.leaseShards(this.#holder, [...Array(this.lanes.shards).keys()], LEASE);
    this.#renewed = performance.now();
    return this.#shards;
  }

  /** At shutdown. Without it the next holder waits for the lease to end. */
  async giveBack(): Promise<void> {
    this.#shards = [];
    await this.jobs.returnShards(this.#holder).catch(() => undefined);
  }
}
