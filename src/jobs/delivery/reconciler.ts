import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { JobQueue, type Lane, type QueueMark } from '../job-queue.js';
import { JobRepository, type DueDelivery } from '../job-repository.js';
import { Lanes } from './lanes.js';
import { queuedDelivery } from './queued-delivery.js';
import { Repeater } from './repeater.js';
import { ShardLeases } from './shard-leases.js';

const INTERVAL = 1_000;
/** Every so many runs the record is compared with the queue, beyond the mark. */
const SWEEP_EVERY = 30;
/** A delivery pushed longer ago than this (ms) and not claimed is looked for in the queue. */
const SUSPICIOUS_AFTER = 15_000;
const PAGE = 500;

/**
 * Notices a queue that was wiped, restored or replaced, and fills it again from the record. Each lane bears a mark whose
 * epoch grows; missing, lower than last seen, or on another server means that deliveries may be gone. Beyond the mark,
 * now and then, what was pushed long ago and never claimed is looked for. Runs where the shard's lease is held.
 */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(Reconciler.name);
  readonly #seen = new Map<string, QueueMark>();
  readonly #runs = new Repeater(() => this.run(), INTERVAL);
  #count = 0;

  constructor(
    private readonly jobs: JobRepository,
    private readonly queue: JobQueue,
    private readonly types: JobTypeRegistry,
    private readonly lanes: Lanes,
    private readonly leases: ShardLeases,
  ) {}

  onApplicationBootstrap(): void {
    this.#runs.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#runs.stop();
  }

  private async run(): Promise<void> {
    const sweep = this.#count++ % SWEEP_EVERY === SWEEP_EVERY - 1;
    try {
      for (const lane of this.lanes.of(await this.leases.held())) await this.reconcile(lane, sweep);
    } catch {
      // The queue or the record does not answer. The relay says so once; here the next run simply tries again.
    }
  }

  /** Exposed for tests. @returns how many deliveries were added again or replaced */
  async reconcile(lane: Lane, sweep: boolean): Promise<number> {
    const key = `${lane.queue}-${lane.shard}`;
    const mark = await this.queue.readMark(lane);
    const seen = this.#seen.get(key);

    // What happened before this process looked for the first time, it cannot know.
    const lost = !mark || !seen || mark.epoch < seen.epoch || mark.server !== seen.server;
    const repaired = lost ? await this.rebuild(lane) : sweep ? await this.sweep(lane) : 0;
    if (repaired > 0 && (seen || !mark))
      this.#logger.warn('queue repaired', { queue: lane.queue, shard: lane.shard, repaired, lost });

    // Only now: a process that dies before this leaves the queue unmarked, and the next one rebuilds it.
    await this.queue.writeMark(lane, Math.max(mark?.epoch ?? 0, seen?.epoch ?? 0) + 1);
    const written = await this.queue.readMark(lane);
    if (written) this.#seen.set(key, written);
    return repaired;
  }

  /** Everything pushed and unclaimed, at most the relay's window. What the queue still holds is left as it is. */
  private async rebuild(lane: Lane): Promise<number> {
    return this.eachPage(lane, 0, async (page) => {
      await this.queue.push(page.map((due) => queuedDelivery(due, this.types)));
      return page.length;
    });
  }

  /** A delivery that the queue lost, or ended without a claim, gets a new number: the old id may still be known there. */
  private async sweep(lane: Lane): Promise<number> {
    return this.eachPage(lane, SUSPICIOUS_AFTER, async (page) => {
      const missing = await this.queue.missing(lane, page);
      return missing.length > 0 ? this.jobs.redeliver(missing) : 0;
    });
  }

  private async eachPage(
    lane: Lane,
    olderThan: number,
    work: (page: DueDelivery[]) => Promise<number>,
  ): Promise<number> {
    let done = 0;
    let after: string | undefined;
    for (;;) {
      const page = await this.jobs.unclaimed(lane, { olderThan, after, limit: PAGE });
      if (page.length === 0) return done;
      done += await work(page);
      if (page.length < PAGE) return done;
      after = page.at(-1)?.jobId;
    }
  }
}
