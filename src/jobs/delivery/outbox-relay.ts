import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { laneKey } from '../by-lane.js';
import { JobQueue, type Lane, type QueuedDelivery } from '../job-queue.js';
import { JobRepository } from '../job-repository.js';
import type { Job } from '../job.js';
import { BACKLOG_INTERVAL, Backlogs, WINDOW } from './backlogs.js';
import { LaneLeases } from './lane-leases.js';
import { LanePushes } from './lane-pushes.js';
import { PushMarks } from './push-marks.js';
import { queuedDelivery } from './queued-delivery.js';
import { Repeater } from './repeater.js';

const BATCH = 500;
/** A lane's gate, once looked at, is believed for so long (ms): afresh, and while it is looked at again. */
const GATE_TTL = 200;
const LONGEST_BELIEVED = 1_000;
/** Freshly committed jobs that this process holds in mind; beyond it the backlog relay finds them in the record. */
const MOST_FRESH = 10_000;
/** A fresh delivery is marked so long (ms) after its push: well before other processes take it for left behind. */
const MARKED_AFTER = 200;

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
  readonly #pushes: LanePushes;
  readonly #marks: PushMarks;
  readonly #backlogs: Backlogs;
  readonly #turns: Repeater;
  #pushing?: Promise<void>;
  #down = false;
  #closing = false;

  constructor(
    private readonly jobs: JobRepository,
    private readonly queue: JobQueue,
    private readonly types: JobTypeRegistry,
    private readonly leases: LaneLeases,
  ) {
    this.#pushes = new LanePushes(queue);
    this.#marks = new PushMarks(jobs, this.#pushes);
    this.#backlogs = new Backlogs(jobs, queue, types, leases, this.#pushes);
    this.#turns = new Repeater(
      () => this.#backlogs.relayInTurn((filledOnly) => this.relayBacklogs(filledOnly)),
      BACKLOG_INTERVAL,
    );
  }

  onApplicationBootstrap(): void {
    this.#turns.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    // Requests are still answered; what they bring is left to other processes, else this would go on as long as they come.
    this.#closing = true;
    this.#backlogs.stop();
    await this.#turns.stop();
    await this.#pushing;
    await Promise.all([this.#marks.close(), this.#backlogs.close()]);
    await this.leases.giveBack();
  }

  /** Tells of jobs that were committed just now. Never waits, never fails. */
  wake(jobs: readonly Job[]): void {
    if (this.#closing || this.#down) return;
    for (const job of jobs) {
      if (job.status !== 'waiting' || this.#fresh.length >= MOST_FRESH) continue;
      const key = laneKey(job);
      if (this.#pushes.isAway(job) || this.isShut(key)) continue;
      this.#fresh.push(queuedDelivery({ ...job, jobId: job.id, priority: job.options.priority }, this.types));
    }
    if (this.#fresh.length > 0) this.#pushing ??= this.pushFresh();
  }

  /**
   * Goes over the backlogs that this process holds until none is left that may be pushed. Exposed for tests.
   * @param filledOnly only where a queue was filled, and has much room by now
   */
  async relayBacklogs(filledOnly = false): Promise<void> {
    try {
      if (!filledOnly) await this.#pushes.lookAfterAway();
      await this.#backlogs.relay(filledOnly);
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

  private async pushFresh(): Promise<void> {
    try {
      while (this.#fresh.length > 0) {
        // What was committed together shares a push, which goes out before the requests are answered.
        await Promise.resolve();
        this.#marks.add(await this.#pushes.push(await this.admitted(this.#fresh.splice(0, BATCH))));
        this.#marks.writeLater(MARKED_AFTER, (error) => this.goDown(error));
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
      if (this.#pushes.isAway(delivery)) continue;
      try {
        const gate = await this.gate(delivery);
        if (gate.open && gate.room-- > 0) admitted.push(delivery);
      } catch (reason) {
        if (!this.#pushes.foundAway(delivery, reason)) throw reason;
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

    if (!known?.open || known.room <= 0 || age > LONGEST_BELIEVED) return this.look(lane, key);
    this.look(lane, key, nextTurn()).catch(() => undefined); // behind the push; whoever pushes will notice
    return known;
  }

  /** One look at a time. @param after it waits for */
  private look(lane: Lane, key: string, after: Promise<void> = Promise.resolve()): Promise<Gate> {
    const under = this.#looks.get(key);
    if (under) return under;

    const look = after
      .then(() => Promise.all([this.jobs.hasBacklog(lane), this.queue.depth(lane)]))
      .then(([backlog, depth]) => {
        const gate = { open: !backlog, room: WINDOW - depth, at: performance.now() };
        this.#gates.set(key, gate);
        return gate;
      })
      .finally(() => this.#looks.delete(key));
    this.#looks.set(key, look);
    return look;
  }

  /** Nothing is lost meanwhile: the rows wait in the record. */
  private goDown(error: unknown): void {
    this.#fresh.length = 0;
    if (this.#down) return;
    this.#down = true;
    this.#logger.warn('relay waits', { reason: error instanceof Error ? error.message : String(error) });
  }
}
