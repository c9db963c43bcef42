import { Job, type Worker } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryBatches, type End, type Taken } from './delivery-batches.js';
import { parseDeliveryId } from './delivery-id.js';
import { DeliveryLocks } from './delivery-locks.js';
import { type Place, Places } from './places.js';
import { RETENTION } from './retention.js';

/** More wait for the next script: `unpack` bears some thousands, and a script holds up everybody else's. */
const MOST_A_SCRIPT = 500;
/** ms that an idle consumer waits for the queue's marker, before it looks by itself. */
const LONGEST_WAIT = 5_000;
const SHORTEST_WAIT = 10;
/** After so long (ms) what the queue did not answer is asked again, so often; then the lock is left to its end. */
const RETRY_AFTER = 1_000;
const MOST_TRIES = 30;

/** How a delivery is told to have ended: as Bull Board shows it, or handed back for another worker to take at once. */
export type Ending = Pick<End, 'value' | 'stack'> | 'handed back';

/** Runs one delivery to its end. Never rejects. */
export type RunDelivery = (taken: Taken, place: Place) => Promise<Ending>;

/**
 * Takes a lane's deliveries as places come free, and ends them: one script for all that ended and all that is to start,
 * asked again as soon as it has answered. Where places are held for moments, the next deliveries are taken and read
 * meanwhile. BullMQ's worker, with its loop left out, keeps the connections, and looks for the
 * stalled deliveries of others.
 */
export class LaneConsumer {
  readonly #batches: DeliveryBatches;
  readonly #locks: DeliveryLocks;
  readonly #places: Places;
  #ends: (End & { tries: number })[] = [];
  #inHand = 0;
  #scheduled = false;
  #asking = false;
  /** The queue had nothing more, and is waited for. */
  #drained = false;
  /** BullMQ's own script says what may be taken: an end may make room that no marker tells of. */
  #judged = false;
  #listening = false;
  #running = false;
  #lastMove = performance.now();

  constructor(
    private readonly worker: Worker,
    private readonly run: RunDelivery,
  ) {
    this.#batches = new DeliveryBatches(worker);
    this.#locks = new DeliveryLocks(worker);
    this.#places = new Places(worker.concurrency, () => this.moved());
  }

  /** Deliveries that are run or settled just now. */
  get inHand(): number {
    return this.#inHand;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#places.open();
    this.worker.startStalledCheckTimer().catch((error: Error) => this.fault(error));
    this.wake();
  }

  /** Takes no more. A delivery that is on its way is handed back. */
  stop(): void {
    this.#running = false;
    this.#places.close();
  }

  /** ms since it last took or ended a delivery; 0 while it has its hands full. */
  silentFor(): number {
    return this.#running && this.#places.room > 0 ? performance.now() - this.#lastMove : 0;
  }

  /** The connection that waited is another one. */
  reconnected(): void {
    this.#lastMove = performance.now();
    this.#drained = false;
    this.wake();
  }

  private moved(): void {
    this.#lastMove = performance.now();
    this.wake();
  }

  // ── asking the queue ──

  /** What one turn of the event loop brings shares a script. */
  private wake(): void {
    if (this.#scheduled || this.#asking) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.ask();
    });
  }

  private async ask(): Promise<void> {
    const ends = this.#ends.splice(0, MOST_A_SCRIPT);
    const room = this.roomAfter(ends.length);
    if (ends.length + room === 0) return;

    this.#asking = true;
    try {
      const { taken } = await this.#batches.endAndTake(ends, room);
      // A lock that was lost is no error: whoever has the delivery by now finds that the record has done with it.
      for (const { id, token } of ends) this.#locks.release(id, token);
      this.#judged = taken === undefined;
      if (taken) this.begin(taken, room);
      else await this.takeBullMqsWay(room);
    } catch (error) {
      await this.askAgain(ends, error as Error);
    } finally {
      this.#asking = false;
    }
    if (this.#ends.length > 0 || this.roomAfter(0) > 0) this.wake();
  }

  private roomAfter(ends: number): number {
    if (!this.#running || this.#drained || this.worker.closing) return 0;
    return Math.min(this.#places.room, MOST_A_SCRIPT - ends);
  }

  private begin(taken: readonly Taken[], room: number): void {
    if (taken.length < room) this.drained();
    for (const one of taken) void this.handle(one);
  }

  /** A queue that was paused or limited by BullMQ's means, or has delayed deliveries: its own script judges, one by one. */
  private async takeBullMqsWay(room: number): Promise<void> {
    for (let left = room; left > 0 && this.#running; left--) {
      const token = this.#batches.nextToken();
      const answer = (await this.worker.getBackend().moveToActive(token, this.worker.opts.name)) as unknown[];
      const [job, id, limited, dueAt] = answer as [
        { attemptsStarted?: number } | undefined,
        string,
        number,
        number,
      ];
      if (!job) return this.drained(limited > 0 ? limited : dueAt > 0 ? dueAt - Date.now() : undefined);
      void this.handle({ id: String(id), token, again: job.attemptsStarted !== 1 });
    }
  }

  /** One that waits is enough: whoever adds something leaves a marker, and whoever takes leaves it there for the next. */
  private drained(atMost = LONGEST_WAIT): void {
    this.#drained = true;
    if (this.#listening || !this.#running) return;
    this.#listening = true;
    const backend = this.worker.getBackend();
    backend
      .waitForJob(Math.min(LONGEST_WAIT, Math.max(SHORTEST_WAIT, atMost)) / 1_000)
      // A marker that this one has no use for is another one's.
      .then((marker) =>
        marker && (!this.#running || this.#places.room === 0) ? this.#batches.wakeOne() : undefined,
      )
      .catch(async (error: Error) => {
        if (!this.#running || this.worker.closing) return;
        this.fault(error);
        await backend.reconnectBlocking().catch((reason: Error) => this.fault(reason));
        await sleep(RETRY_AFTER);
      })
      .finally(() => {
        this.#listening = false;
        this.#drained = false;
        if (!this.#scheduled && !this.#asking) return this.ask(); // what it waited for is asked for at once
      })
      .catch(() => undefined);
  }

  private async askAgain(ends: (End & { tries: number })[], error: Error): Promise<void> {
    this.fault(error);
    if (this.worker.closing) return;
    for (const end of ends) {
      if (++end.tries < MOST_TRIES) this.#ends.push(end);
      else this.#locks.release(end.id, end.token);
    }
    await sleep(RETRY_AFTER);
  }

  // ── one delivery ──

  private async handle(taken: Taken): Promise<void> {
    this.#inHand++;
    this.#lastMove = performance.now();
    this.#locks.hold(taken.id, taken.token);
    const place = this.#places.forTaken();
    const ending = this.#running ? await this.run(taken, place) : 'handed back';
    place.end();
    this.#inHand--;
    if (ending === 'handed back') await this.handBack(taken);
    else if (parseDeliveryId(taken.id)) this.#ends.push({ ...taken, ...ending, tries: 0 });
    else await this.failOther(taken, ending.value);
    if (this.#judged) this.#drained = false;
    this.wake();
  }

  private async handBack(taken: Taken): Promise<void> {
    this.#locks.release(taken.id, taken.token);
    try {
      await deliveryOf(this.worker, taken).moveToWait(taken.token);
      await this.#batches.wakeOne();
    } catch (error) {
      this.fault(error as Error);
    }
  }

  /** What somebody else put into the queue may have parents and more, and is BullMQ's own to end. */
  private async failOther(taken: Taken, reason: string): Promise<void> {
    this.#locks.release(taken.id, taken.token);
    const job = await Job.fromId(this.worker, taken.id).catch(() => undefined);
    await job?.moveToFailed(new Error(reason), taken.token).catch((error: Error) => this.fault(error));
  }

  private fault(error: Error): void {
    if (!this.worker.closing) this.worker.emit('error', error);
  }
}

/** As much of a delivery as its progress, its log and its way back need. */
export function deliveryOf(worker: Worker, { id }: Pick<Taken, 'id'>): Job {
  return new Job(worker, 'delivery', {}, { attempts: 1, keepLogs: RETENTION.keepLogs }, id);
}
