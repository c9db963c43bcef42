import { Injectable, Logger } from '@nestjs/common';
import { Worker } from 'node:worker_threads';
import { AppConfig } from '../config/app-config.js';
import { Heartbeat } from '../jobs/delivery/heartbeat.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { monotonicNow, type BeatMessage, type HeartbeatThreadData } from './heartbeat-thread.js';

const INTERVAL = 2_000;
const LONGEST_BLOCK = 60_000;
/** Beats further apart than this, in ms, have a gap between them. */
const GAP = INTERVAL * 2;

/** The heartbeat of this process, from a thread with a connection of its own. */
@Injectable()
export class ThreadHeartbeat extends Heartbeat {
  readonly #logger = new Logger('Heartbeat');
  readonly #lastTurn = new SharedArrayBuffer(8);
  readonly #listeners: (() => void)[] = [];
  #thread?: Worker;
  #turning?: NodeJS.Timeout;
  #restart?: NodeJS.Timeout;
  #steadySince?: number;
  #lastBeat?: number;

  constructor(
    private readonly config: AppConfig,
    private readonly identity: WorkerIdentity,
  ) {
    super();
  }

  start(): Promise<void> {
    this.turn();
    this.#turning = setInterval(() => this.turn(), INTERVAL / 4);
    const { id, host, pid, queues, types } = this.identity;
    const workerData: HeartbeatThreadData = {
      url: this.config.database.url,
      worker: { id, host, pid, queues, types },
      interval: INTERVAL,
      longestBlock: LONGEST_BLOCK,
      lastTurn: this.#lastTurn,
    };
    return new Promise((resolve) => this.beat(workerData, resolve));
  }

  /** In a thread, and in another one where that dies. */
  private beat(workerData: HeartbeatThreadData, onBeat: () => void): void {
    const thread = new Worker(new URL('./heartbeat-thread.js', import.meta.url), { workerData });
    this.#thread = thread;
    thread.on('message', (message: BeatMessage) => {
      this.hear(message);
      if (message.kind === 'beat') onBeat();
    });
    thread.on('error', (error) => this.#logger.error('heartbeat thread died', { error }));
    thread.on('exit', () => {
      if (this.#thread !== thread) return;
      this.#steadySince = undefined;
      this.#restart = setTimeout(() => this.beat(workerData, onBeat), INTERVAL);
    });
  }

  steadyFor(): number {
    if (this.#steadySince === undefined || this.#lastBeat === undefined) return 0;
    const now = monotonicNow();
    return now - this.#lastBeat > GAP ? 0 : now - this.#steadySince;
  }

  onLost(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async stop(): Promise<void> {
    clearInterval(this.#turning);
    clearTimeout(this.#restart);
    const thread = this.#thread;
    this.#thread = undefined;
    if (!thread) return;

    const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    thread.postMessage('stop');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 4_000).unref())]);
    await thread.terminate();
  }

  private hear(message: BeatMessage): void {
    if (message.kind === 'missed') {
      if (this.#steadySince !== undefined) this.#logger.warn('heartbeat missed', { reason: message.reason });
      this.#steadySince = undefined;
      return;
    }

    const first = this.#lastBeat === undefined;
    if (this.#lastBeat === undefined || message.at - this.#lastBeat > GAP) this.#steadySince = message.at;
    this.#steadySince ??= message.at;
    this.#lastBeat = message.at;
    if (message.created && !first) {
      this.#logger.warn('lease lost', { workerId: this.identity.id });
      for (const listener of this.#listeners) listener();
    }
  }

  private turn(): void {
    new Float64Array(this.#lastTurn)[0] = monotonicNow();
  }
}
