import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordUnavailable } from '../job.errors.js';
import type { Claim, HeldClaim } from '../job-repository.js';

const LONGEST_PAUSE = 2_000;

export type AbortCause = 'timeout' | 'shutdown' | 'lease lost' | 'cancelled';

/** Why an attempt was told to stop, as its signal's reason. */
export class AttemptAborted extends Error {
  constructor(readonly why: AbortCause) {
    super(`The attempt was stopped: ${why}`);
    this.name = 'AttemptAborted';
  }
}

/** One attempt under way in this process. */
export class RunningJob {
  #controller?: AbortController;
  #reason?: AttemptAborted;
  #abandoned = false;
  #onAbandoned?: () => void;

  /** Whether the record knows who runs it. */
  isOnRecord: boolean;

  /** While the record is being told. */
  recording?: Promise<boolean>;

  /** Its handler has ended: only its outcome is missing on record. */
  hasRun = false;

  /** @param since when it had its place, as performance.now() tells; Infinity while it waits for one */
  constructor(
    readonly claim: Claim,
    public since: number,
  ) {
    this.isOnRecord = !claim.deferred;
  }

  /** Made when it is first asked for: most handlers are quick, and few look. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The first cause counts. */
  abort(cause: AbortCause): void {
    this.#reason ??= new AttemptAborted(cause);
    this.#controller?.abort(this.#reason);
  }

  /** Nobody will wait for the handler any longer. */
  abandon(): void {
    this.#abandoned = true;
    this.#onAbandoned?.();
  }

  /** @param listener called once, at once where nobody waits already; the latest one counts */
  onAbandoned(listener: () => void): void {
    this.#onAbandoned = listener;
    if (this.#abandoned) listener();
  }

  /** The job is over by somebody's decision: nobody waits for a handler that goes on. */
  cancel(): void {
    this.abort('cancelled');
    this.abandon();
  }

  get wasStopped(): boolean {
    return this.#reason !== undefined;
  }

  wasStoppedBy(cause: AbortCause): boolean {
    return this.#reason?.why === cause;
  }
}

/** The attempts of this process, and the deliveries on their way to one. */
@Injectable()
export class RunningJobs {
  readonly #running = new Map<string, RunningJob>();
  readonly #idle: (() => void)[] = [];
  #deliveries = 0;
  #closing = false;

  /** No further claims are to be made. */
  get closing(): boolean {
    return this.#closing;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Counts a delivery from its arrival to the end of its settlement. */
  async during<T>(delivery: () => Promise<T>): Promise<T> {
    this.#deliveries++;
    try {
      return await delivery();
    } finally {
      if (--this.#deliveries === 0) for (const tell of this.#idle.splice(0)) tell();
    }
  }

  start(claim: Claim, since = performance.now()): RunningJob {
    const running = new RunningJob(claim, since);
    this.#running.set(claim.token, running);
    if (this.#closing) running.abort('shutdown');
    return running;
  }

  end({ claim }: RunningJob): void {
    this.#running.delete(claim.token);
  }

  holds({ token }: HeldClaim): boolean {
    return this.#running.has(token);
  }

  /** Those that are under way now. */
  all(): RunningJob[] {
    return [...this.#running.values()];
  }

  abortAll(cause: AbortCause): void {
    for (const running of this.#running.values()) running.abort(cause);
  }

  /**
   * Repeats a call until the record answers.
   * @returns undefined only when the process is closing and cannot wait any longer: the reaper then takes over
   */
  untilAnswered<T>(call: () => Promise<T>, pause = 50): Promise<T | undefined> {
    return call().catch(async (error: unknown) => {
      if (!(error instanceof RecordUnavailable)) throw error;
      if (this.#closing) return undefined;
      await sleep(pause);
      return this.untilAnswered(call, Math.min(pause * 2, LONGEST_PAUSE));
    });
  }

  /** Stops claiming, asks every attempt to stop, gives them `grace` ms, then waits for none. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    this.abortAll('shutdown');
    await this.idleWithin(grace);
    for (const running of this.#running.values()) running.abandon();
    await this.idleWithin(1_000);
  }

  private async idleWithin(time: number): Promise<void> {
    if (this.#deliveries === 0) return;
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve));
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([idle, new Promise((resolve) => (timer = setTimeout(resolve, time)))]);
    clearTimeout(timer);
  }
}
