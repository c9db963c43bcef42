import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { Lane } from '../job-queue.js';
import { JobRepository } from '../job-repository.js';
import { Lanes } from './lanes.js';

/** By the database's clock. A holder that dies or hangs is followed by another process after so long (ms). */
const LEASE = 5_000;
const RENEW_AFTER = 1_500;

/**
 * Which lanes' backlogs this process looks after: of those that it knows, since another process may have job types, and
 * so queues, that this one has not. A lease in a row, not a session lock: a process that is stopped with its session open
 * would hold such a lock for ever. Two holders at once would only push twice what is delivered once.
 */
@Injectable()
export class LaneLeases {
  readonly #holder = randomUUID();
  #lanes: readonly Lane[] = [];
  #renewed = -Infinity;
  #leasing?: Promise<readonly Lane[]>;
  #givenBack = false;

  constructor(
    private readonly jobs: JobRepository,
    private readonly lanes: Lanes,
  ) {}

  /** Takes what is free, renews what is held; nothing once it is given back. @throws RecordUnavailable */
  async held(): Promise<readonly Lane[]> {
    if (this.#givenBack) return [];
    if (performance.now() - this.#renewed < RENEW_AFTER) return this.#lanes;

    this.#lanes = [];
    this.#leasing ??= this.lease().finally(() => (this.#leasing = undefined));
    return this.#leasing;
  }

  /** At shutdown. Without it the next holder waits for the lease to end. Several ask for lanes: one may be asking now. */
  async giveBack(): Promise<void> {
    this.#givenBack = true;
    this.#lanes = [];
    await this.#leasing?.catch(() => undefined);
    await this.jobs.returnLanes(this.#holder).catch(() => undefined);
  }

  private async lease(): Promise<readonly Lane[]> {
    const lanes = await this.jobs.leaseLanes(this.#holder, this.lanes.all(), LEASE);
    if (this.#givenBack) return [];
    this.#lanes = lanes;
    this.#renewed = performance.now();
    return lanes;
  }
}
