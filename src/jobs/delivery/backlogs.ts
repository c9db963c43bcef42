import type { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { laneKey } from '../by-lane.js';
import type { JobQueue, Lane } from '../job-queue.js';
import type { DuePosition, JobRepository } from '../job-repository.js';
import type { LaneLeases } from './lane-leases.js';
import type { LanePushes } from './lane-pushes.js';
import { PushMarks } from './push-marks.js';
import { queuedDelivery } from './queued-delivery.js';

/** Deliveries that a lane's queue holds at most; the rest waits in the record. */
export const WINDOW = 2_000;

const BATCH = 500;
export const BACKLOG_INTERVAL = 250;
/** A lane whose queue was filled is looked at again so soon (ms), and filled again if there is much room. */
const FILLED_INTERVAL = 50;
const MUCH_ROOM = BATCH / 2;
/** After so long (ms) a backlog is read from its start again: something may have come due before what was read. */
const LONGEST_WALK = 1_000;

/** On the way through the backlog of a lane whose queue is kept full. */
interface Walk {
  since: number;
  /** Of each priority the last delivery that was pushed. */
  at: DuePosition[];
  marks: PushMarks;
}

/**
 * Takes backlogs to the queue, as far as it has room, where this process holds the lane's lease. A long backlog is walked
 * through: each batch begins where the last one ended, and what was pushed is marked when the walk ends.
 */
export class Backlogs {
  /** Of lanes that had more than their queues had room for, when they were last looked at. */
  readonly #walks = new Map<string, Walk>();
  #lookedAt = -Infinity;
  #closing = false;

  constructor(
    private readonly jobs: JobRepository,
    private readonly queue: JobQueue,
    private readonly types: JobTypeRegistry,
    private readonly leases: LaneLeases,
    private readonly pushes: LanePushes,
  ) {}

  /** All lanes at every interval, and in between those that were filled. @returns the pause until the next run, in ms */
  async relayInTurn(relay: (filledOnly: boolean) => Promise<void>): Promise<number> {
    const between = !this.isTimeForAll();
    if (!between) this.#lookedAt = performance.now();
    await relay(between);
    return this.#walks.size > 0 ? FILLED_INTERVAL : BACKLOG_INTERVAL;
  }

  /** Until nothing is left that may be pushed. @param filledOnly only where a queue was filled, and has much room by now */
  async relay(filledOnly: boolean): Promise<void> {
    // Others are looked at again in time, however long those that were filled go on.
    while ((await this.relayTurn(filledOnly)) && !(filledOnly && this.isTimeForAll()));
  }

  /** A walk that is under way ends with its batch, however much is due. */
  stop(): void {
    this.#closing = true;
  }

  /** Marks what is pushed. */
  async close(): Promise<void> {
    await Promise.all([...this.#walks.values()].map(({ marks }) => marks.close()));
  }

  private isTimeForAll(): boolean {
    return performance.now() - this.#lookedAt >= BACKLOG_INTERVAL;
  }

  /**
   * A batch of each lane, so that a long backlog holds up no other lane, nor a lane whose server is away.
   * @returns whether another turn may find more
   */
  private async relayTurn(filledOnly: boolean): Promise<boolean> {
    let more = false;
    let fault: { reason: unknown } | undefined;
    const lanes = await this.leases.held();
    if (!filledOnly) await this.endOthers(lanes);
    for (const lane of lanes) {
      if (this.#closing) return false;
      try {
        more = (await this.relayBatch(lane, filledOnly)) || more;
      } catch (reason) {
        // Unmarked, what it pushed is pushed again from the start of the next walk: the queue may have lost it.
        this.#walks.delete(laneKey(lane));
        if (!this.pushes.foundAway(lane, reason)) fault ??= { reason };
      }
    }
    if (fault) throw fault.reason;
    return more;
  }

  /** @returns whether more may be due, and fit */
  private async relayBatch(lane: Lane, filledOnly: boolean): Promise<boolean> {
    const key = laneKey(lane);
    if (filledOnly && !this.#walks.has(key)) return false;
    const room = WINDOW - (await this.queue.depth(lane));
    if (room < (filledOnly ? MUCH_ROOM : 1)) {
      if (room <= 0) await this.walk(key);
      return false;
    }

    const walk = await this.walk(key);
    const asked = Math.min(room, BATCH);
    const due = await this.jobs.due(lane, asked, walk.at);
    const pushed = await this.pushes.push(due.map((delivery) => queuedDelivery(delivery, this.types)));
    walk.marks.add(pushed);
    walk.at = furthest([...walk.at, ...due]);
    if (due.length < asked || pushed.length < due.length) await this.end(key, walk);
    return pushed.length === BATCH;
  }

  private async walk(key: string): Promise<Walk> {
    const known = this.#walks.get(key);
    if (known && performance.now() - known.since < LONGEST_WALK && !known.marks.isFull) return known;
    if (known) await this.end(key, known);
    const walk = { since: performance.now(), at: [], marks: new PushMarks(this.jobs, this.pushes) };
    this.#walks.set(key, walk);
    return walk;
  }

  /** Walks of lanes that another process has by now. */
  private async endOthers(lanes: readonly Lane[]): Promise<void> {
    const held = new Set(lanes.map(laneKey));
    for (const [key, walk] of this.#walks) if (!held.has(key)) await this.end(key, walk);
  }

  private async end(key: string, { marks }: Walk): Promise<void> {
    this.#walks.delete(key);
    await marks.write();
  }
}

/** Of each priority the last one: they come in their order. */
function furthest(positions: readonly DuePosition[]): DuePosition[] {
  const last = new Map<number, DuePosition>();
  for (const position of positions) last.set(position.priority, position);
  return [...last.values()].map(({ priority, runAt, jobId }) => ({ priority, runAt, jobId }));
}
