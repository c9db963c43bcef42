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
  #abandon: () => void = () => undefined;

  /** Resolves when nobody will wait for the handler any longer. */
  readonly abandoned = new Promise<'abandoned'>((resolve) => (this.#abandon = () => resolve('abandoned')));

  constructor(readonly claim: Claim) {}

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

  abandon(): void {
    this.#abandon();
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

  start(claim: Claim): RunningJob {
    const running = new RunningJob(claim);
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
  async untilAnswered<T>(call: () => Promise<T>): Promise<T | undefined> {
    for (let pause = 50; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof RecordUnavailable)) throw error;
        if (this.#closing) return undefined;
        await sleep(pause);
      }
    }
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
