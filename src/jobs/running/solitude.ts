import { Injectable } from '@nestjs/common';

/** How long a suspect keeps the others waiting, in ms; twice as long each time that it waited in vain. */
export const FIRST_PATIENCE = 5_000;

type Leave = () => void;

interface Waiting {
  alone: boolean;
  enter: () => void;
}

/**
 * Lets ordinary attempts run side by side, and a suspect only alone: it waits until the others are done, and meanwhile
 * none starts, first come, first served. But one suspect must not keep a process from its work for as long as its
 * longest job takes: its patience ends, and grows with every vain wait, so that it has its turn at last.
 */
@Injectable()
export class Solitude {
  readonly #queue: Waiting[] = [];
  readonly #patience = new Map<string, number>();
  #inside = 0;
  #alone = false;
  #strays = 0;

  /** Whether a handler goes on although its attempt is over: a crash then may be its fault. */
  get isHaunted(): boolean {
    return this.#strays > 0;
  }

  /** @returns how to leave again; undefined where somebody waits, or is alone inside */
  enterAtOnce(): Leave | undefined {
    if (this.#queue.length > 0 || !this.fits(false)) return undefined;
    this.#inside++;
    return () => this.leave();
  }

  /** @returns how to leave again; undefined where the signal came first */
  enter(signal: AbortSignal): Promise<Leave | undefined> {
    return this.admission(false, signal);
  }

  /** @returns how to leave again; undefined where the signal came first, or the moment to be alone did not come */
  async enterAlone(jobId: string, signal: AbortSignal): Promise<Leave | undefined> {
    const patience = this.#patience.get(jobId) ?? FIRST_PATIENCE;
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), patience);
    const leave = await this.admission(true, AbortSignal.any([signal, end.signal]));
    clearTimeout(timer);
    if (leave) this.#patience.delete(jobId);
    else this.#patience.set(jobId, patience * 2);
    return leave;
  }

  /** A handler whose attempt has ended without it. */
  leaveBehind(handler: Promise<unknown>): void {
    this.#strays++;
    const gone = (): void => void this.#strays--;
    handler.then(gone, gone);
  }

  private admission(alone: boolean, signal: AbortSignal): Promise<Leave | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        this.admit();
        resolve(undefined);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve(() => this.leave());
      };
      const waiting: Waiting = { alone, enter };
      signal.addEventListener('abort', giveUp);
      this.#queue.push(waiting);
      this.admit();
    });
  }

  private leave(): void {
    this.#inside--;
    this.#alone = false;
    this.admit();
  }

  private admit(): void {
    for (let next = this.#queue[0]; next && this.fits(next.alone); next = this.#queue[0]) {
      this.#queue.shift();
      this.#inside++;
      this.#alone = next.alone;
      next.enter();
    }
  }

  private fits(alone: boolean): boolean {
    return this.#inside === 0 || (!alone && !this.#alone);
  }
}
