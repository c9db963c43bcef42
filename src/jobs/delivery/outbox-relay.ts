import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { byLane, laneKey } from '../by-lane.js';
import { JobQueue, QueueUnavailable, type Lane, type QueuedDelivery } from '../job-queue.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';
import { queuedDelivery } from './queued-delivery.js';
import { Repeater } from './repeater.js';
import { LaneLeases } from './lane-leases.js';

/** Deliveries that a lane's queue holds at most; the rest waits in the record. */
export const WINDOW = 2_000;

const BATCH = 500;
const BACKLOG_INTERVAL = 250;
/** A lane whose queue was filled is looked at again so soon (ms), and filled again if there is much room. */
const FILLED_INTERVAL = 50;
const MUCH_ROOM = BATCH / 2;
/** A lane's gate, once looked at, is believed for so long (ms): afresh, and while it is looked at again. */
const GATE_TTL = 200;
const LONGEST_BELIEVED = 1_000;
/** Freshly committed jobs that this process holds in mind; beyond it the backlog relay finds them in the record. */
const MOST_FRESH = 10_000;

interface Gate {
  open: boolean;
  room: number;
  /** When it was looked at, as performance.now() tells. */
  at: number;
}

/**
 * Takes committed work to the queue. What this process has just committed goes at once, unless its lane has a backlog;
 * all else (backlogs, back-offs, due delays, what a dead process left behind) is found in the record by the one process
 * that holds the lane's lease. A delivery may be pushed twice and is still delivered once: its id is its identity.
 */
@Injectable()
export class OutboxRelay implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(OutboxRelay.name);
  readonly #fresh: QueuedDelivery[] = [];
  readonly #gates = new Map<string, Gate>();
  readonly #looks = new Map<string, Promise<Gate>>();
  readonly #backlog = new Repeater(() => this.relayInTurn(), BACKLOG_INTERVAL);
  /** Lanes that had more than their queues had room for, when they were last looked at. */
  readonly #filled = new Set<string>();
  #lookedAt = -Infinity;
  /** Lanes whose queue did not answer: what is fresh there is left to the record, until the queue answers again. */
  readonly #away = new Map<string, Lane>();
  readonly #marks = new Set<Promise<void>>();
  #pushing?: Promise<void>;
  #down = false;
  #closing = false;

  constructor(
    private readonly jobs: JobRepository,
    private readonly queue: JobQueue,
    private readonly types: JobTypeRegistry,
    private readonly leases: LaneLeases,
  ) {}

  onApplicationBootstrap(): void {
    this.#backlog.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    // Requests are still answered; what they bring is left to other processes, else this would go on as long as they come.
    this.#closing = true;
    await this.#backlog.stop();
    await this.#pushing;
    await Promise.all(this.#marks);
    await this.leases.giveBack();
  }

  /** Tells of jobs that were committed just now. Never waits, never fails. */
  wake(jobs: readonly Job[]): void {
    if (this.#closing || this.#down) return;
    for (const job of jobs) {
      if (job.status !== 'waiting' || this.#fresh.length >= MOST_FRESH) continue;
      const key = laneKey(job);
      if (this.#away.has(key) || this.isShut(key)) continue;
      this.#fresh.push(queuedDelivery({ ...job, jobId: job.id, priority: job.options.priority }, this.types));
    }
    if (this.#fresh.length > 0) this.#pushing ??= this.pushFresh();
  }

  /** All lanes at every interval, and in between those that were filled. @returns the pause until the next run, in ms */
  private async relayInTurn(): Promise<number> {
    const between = !this.isTimeForAll();
    if (!between) {
      this.#lookedAt = performance.now();
      this.#filled.clear();
    }
    await this.relayBacklogs(between);
    return this.#filled.size > 0 ? FILLED_INTERVAL : BACKLOG_INTERVAL;
  }

  private isTimeForAll(): boolean {
    return performance.now() - this.#lookedAt >= BACKLOG_INTERVAL;
  }

  /**
   * Goes over the backlogs that this process holds until none is left that may be pushed. Exposed for tests.
   * @param filledOnly only where a queue was filled, and has much room by now
   */
  async relayBacklogs(filledOnly = false): Promise<void> {
    try {
      if (!filledOnly) await this.lookAfterAway();
      // Others are looked at again in time, however long those that were filled go on.
      while ((await this.relayTurn(filledOnly)) && !(filledOnly && this.isTimeForAll()));
      this.#down = false;
    } catch (error) {
      this.goDown(error);
    }
  }

  /** Its deliveries would be thrown away: while a lane has a backlog, or no room, none is made. */
  private isShut(key: string): boolean {
    const gate = this.#gates.get(key);
    if (!gate || (gate.open && gate.room > 0)) return false;
    return performance.now() - gate.at < GATE_TTL;
  }

  /** Also of lanes that another process relays: what is fresh here goes there again. */
  private async lookAfterAway(): Promise<void> {
    for (const [key, lane] of this.#away) {
      try {
        await this.queue.depth(lane);
        this.#away.delete(key);
      } catch (reason) {
        if (!this.isAway(lane, reason)) throw reason;
      }
    }
  }

  /**
   * A batch of each lane, so that a long backlog holds up no other lane, nor a lane whose server is away.
   * @returns whether another turn may find more
   */
  private async relayTurn(filledOnly: boolean): Promise<boolean> {
    let more = false;
    let fault: { reason: unknown } | undefined;
    for (const lane of await this.leases.held()) {
      if (this.#closing) return false;
      try {
        more = (await this.relayBatch(lane, filledOnly)) || more;
      } catch (reason) {
        if (!this.isAway(lane, reason)) fault ??= { reason };
      }
    }
    if (fault) throw fault.reason;
    return more;
  }

  /** @returns whether more may be due, and fit */
  private async relayBatch(lane: Lane, filledOnly: boolean): Promise<boolean> {
    const key = laneKey(lane);
    if (filledOnly && !this.#filled.has(key)) return false;
    const room = WINDOW - (await this.queue.depth(lane));
    if (room <= 0) this.#filled.add(key);
    if (room < (filledOnly ? MUCH_ROOM : 1)) return false;

    const asked = Math.min(room, BATCH);
    const due = await this.jobs.due(lane, asked);
    if (due.length === asked) this.#filled.add(key);
    else this.#filled.delete(key);
    const pushed = await this.push(due.map((delivery) => queuedDelivery(delivery, this.types)));
    return pushed === BATCH;
  }

  private async pushFresh(): Promise<void> {
    try {
      while (this.#fresh.length > 0) {
        // Requests that were answered in this turn of the event loop share a push.
        await new Promise((resolve) => setImmediate(resolve));
        const pushed = await this.pushed(await this.admitted(this.#fresh.splice(0, BATCH)));
        this.markLater(pushed);
      }
    } catch (error) {
      this.goDown(error);
    } finally {
      this.#pushing = undefined;
    }
  }

  /** Those whose lane answers and has no backlog. The others are on record, and wait for their turn there. */
  private async admitted(deliveries: QueuedDelivery[]): Promise<QueuedDelivery[]> {
    const admitted: QueuedDelivery[] = [];
    for (const delivery of deliveries) {
      if (this.#away.has(laneKey(delivery))) continue;
      try {
        const gate = await this.gate(delivery);
        if (gate.open && gate.room-- > 0) admitted.push(delivery);
      } catch (reason) {
        if (!this.isAway(delivery, reason)) throw reason;
      }
    }
    return admitted;
  }

  /** A push need not wait for a look at a gate that was seen open a moment ago. */
  private async gate(lane: Lane): Promise<Gate> {
    const key = laneKey(lane);
    const known = this.#gates.get(key);
    const age = performance.now() - (known?.at ?? -Infinity);
    if (known && age < GATE_TTL) return known;

    const look = this.look(lane, key);
    if (!known?.open || known.room <= 0 || age > LONGEST_BELIEVED) return look;
    look.catch(() => undefined); // whoever pushes will notice
    return known;
  }

  /** One look at a time. */
  private look(lane: Lane, key: string): Promise<Gate> {
    const under = this.#looks.get(key);
    if (under) return under;

    const look = Promise.all([this.jobs.hasBacklog(lane), this.queue.depth(lane)])
      .then(([backlog, depth]) => {
        const gate = { open: !backlog, room: WINDOW - depth, at: performance.now() };
        this.#gates.set(key, gate);
        return gate;
      })
      .finally(() => this.#looks.delete(key));
    this.#looks.set(key, look);
    return look;
  }

  /** @returns how many the queue took */
  private async push(deliveries: QueuedDelivery[]): Promise<number> {
    const pushed = await this.pushed(deliveries);
    if (pushed.length > 0) await this.jobs.markPushed(pushed);
    return pushed.length;
  }

  /** Meanwhile the next are pushed. Until it is marked a delivery may be pushed again, and is the same one. */
  private markLater(pushed: QueuedDelivery[]): void {
    if (pushed.length === 0) return;
    const mark = this.jobs
      .markPushed(pushed)
      .catch((error: unknown) => this.goDown(error))
      .finally(() => this.#marks.delete(mark));
    this.#marks.add(mark);
  }

  /** A lane that is away holds up no other. @returns what the queue took */
  private async pushed(deliveries: QueuedDelivery[]): Promise<QueuedDelivery[]> {
    const batches = byLane(deliveries).map(async (batch) => {
      try {
        await this.queue.push(batch);
        return batch;
      } catch (reason) {
        if (this.isAway(batch[0], reason)) return [];
        throw reason;
      }
    });
    return (await Promise.all(batches)).flat();
  }

  /** An outage of the queue is told by its adapter, once. */
  private isAway(lane: Lane, reason: unknown): boolean {
    if (!(reason instanceof QueueUnavailable)) return false;
    this.#away.set(laneKey(lane), lane);
    return true;
  }

  /** Nothing is lost meanwhile: the rows wait in the record. */
  private goDown(error: unknown): void {
    this.#fresh.length = 0;
    if (this.#down) return;
    this.#down = true;
    this.#logger.warn('relay waits', { reason: error instanceof Error ? error.message : String(error) });
  }
}
