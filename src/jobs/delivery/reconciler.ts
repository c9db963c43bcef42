import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { laneKey } from '../by-lane.js';
import { JobQueue, type Delivery, type Lane, type QueueMark } from '../job-queue.js';
import { JobRepository, type DueDelivery } from '../job-repository.js';
import { queuedDelivery } from './queued-delivery.js';
import { Repeater } from './repeater.js';
import { Drift } from './drift.js';
import { LaneLeases } from './lane-leases.js';

const INTERVAL = 1_000;
/** Every so many runs the record is compared with the queue, beyond the mark. */
const SWEEP_EVERY = 30;
/** A delivery pushed longer ago than this (ms) and not claimed is looked for in the queue. */
const SUSPICIOUS_AFTER = 15_000;
const PAGE = 500;
/** An epoch below every other. */
const REBUILDING = 0;
/** The run in which queues that nobody relays are looked for: by then the processes of this installation are up. */
const FIRST_LOOK = 10;

/**
 * Notices a queue that was wiped, restored or replaced, and fills it again from the record. Each lane bears a mark whose
 * epoch grows; missing, lower than last seen, or on another server means that deliveries may be gone. Beyond the mark,
 * now and then, what was pushed long ago and never claimed is looked for. Runs where the lane's lease is held.
 */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(Reconciler.name);
  readonly #seen = new Map<string, QueueMark>();
  readonly #unrelayed = new Set<string>();
  readonly #runs = new Repeater(() => this.run(), INTERVAL);
  #count = 0;

  constructor(
    private readonly jobs: JobRepository,
    private readonly queue: JobQueue,
    private readonly types: JobTypeRegistry,
    private readonly leases: LaneLeases,
    private readonly drift: Drift,
  ) {}

  onApplicationBootstrap(): void {
    this.#runs.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#runs.stop();
  }

  private async run(): Promise<void> {
    const run = this.#count++ % SWEEP_EVERY;
    const sweep = run === SWEEP_EVERY - 1;
    if (run === FIRST_LOOK) await this.warnOfUnrelayed().catch(() => undefined);

    const lanes = await this.leases.held().catch(() => []);
    for (const lane of lanes) {
      // The queue or the record may not answer. The relay says so once; here the next run simply tries again.
      await this.reconcile(lane, sweep).catch(() => undefined);
    }
  }

  /** Jobs of a queue that no process knows: those were stopped that had its job types. */
  private async warnOfUnrelayed(): Promise<void> {
    for (const queue of await this.jobs.unrelayed()) {
      if (this.#unrelayed.has(queue)) continue;
      this.#unrelayed.add(queue);
      this.#logger.warn('queue without a relay', {
        queue,
        reason: 'no running process has a job type for it',
      });
    }
  }

  /** Exposed for tests. @returns how many deliveries were added again or replaced */
  async reconcile(lane: Lane, sweep: boolean): Promise<number> {
    const key = laneKey(lane);
    const mark = await this.queue.readMark(lane);
    const seen = this.#seen.get(key);

    // What happened before this process looked for the first time, it cannot know.
    const lost = !mark || !seen || mark.epoch < seen.epoch || mark.server !== seen.server;
    const repaired = lost ? await this.rebuild(lane) : sweep ? await this.sweep(lane) : 0;
    // The first look of a process is no finding, unless the mark is missing.
    if (lost && (seen || !mark)) this.drift.add('rebuilt');
    if (repaired > 0) {
      this.drift.add('repaired', repaired);
      this.#logger.warn('queue repaired', { queue: lane.queue, shard: lane.shard, repaired, wiped: lost });
    }

    // A wipe since the mark was read, or written by the rebuild, is not covered up: the next run sees it.
    const epoch = Math.max(mark?.epoch ?? 0, seen?.epoch ?? 0) + 1;
    const expected = lost ? REBUILDING : mark.epoch;
    if (!(await this.queue.writeMark(lane, epoch, expected))) return repaired;

    const written = await this.queue.readMark(lane);
    if (written) this.#seen.set(key, written);
    return repaired;
  }

  /**
   * Everything pushed and unclaimed, at most the relay's window. What the queue still holds is left as it is. A process
   * that dies meanwhile leaves a mark that every other takes for a loss.
   */
  private async rebuild(lane: Lane): Promise<number> {
    await this.queue.writeMark(lane, REBUILDING);
    return this.eachPage(lane, 0, async (page) => {
      const missing = await this.missing(lane, page);
      // All of them: what the queue ended without a claim is no less pushed than what it holds.
      await this.queue.push(page.map((due) => queuedDelivery(due, this.types)));
      return missing.length;
    });
  }

  /** A delivery that the queue lost, or ended without a claim, gets a new number: the old id may still be known there. */
  private async sweep(lane: Lane): Promise<number> {
    return this.eachPage(lane, SUSPICIOUS_AFTER, async (page) => {
      const missing = await this.missing(lane, page);
      return missing.length > 0 ? this.jobs.redeliver(missing) : 0;
    });
  }

  private async missing(lane: Lane, page: DueDelivery[]): Promise<Delivery[]> {
    const missing = await this.queue.missing(lane, page);
    this.drift.add('lost', missing.length);
    return missing;
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
