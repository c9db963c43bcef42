/** While places are held for so short a time (ms, on the average), the next deliveries are taken ahead of theirs. */
const QUICK = 20;
/** Of each new time, the share that counts for the average. */
const WEIGHT = 0.05;
/** So many at most, and for so long (ms): what finds no place by then goes to a worker that has one. */
const MOST_AHEAD = 300;
const LONGEST_AHEAD = 50;
/** For each place so many are read ahead and so many are being settled at most, while handlers are quick. */
const DEPTH = 3;

/** A delivery's way through its place. */
export interface Place {
  /** Takes it, now or as soon as one is free. @returns false: none was in time */
  readonly enter: () => boolean | Promise<boolean>;
  /** Frees it before the delivery's end. @returns false: as many as there are places are being settled already */
  readonly leave: () => boolean;
}

/**
 * The places of a lane's consumer. A delivery holds one from the start of its handler to the handler's end, and not while it
 * is read or settled: as many more are being settled at most, and, where handlers are quick, some times as many are settled
 * and read ahead.
 */
export class Places {
  #running = 0;
  #settling = 0;
  #ahead = 0;
  #held = Infinity;
  #waiting: Waiting[] = [];
  #closed = false;

  /** @param onFree there may be room for more */
  constructor(
    private readonly count: number,
    private readonly onFree: () => void,
  ) {}

  /** Deliveries that may be taken now. */
  get room(): number {
    return Math.max(0, this.count + this.mostAhead - this.#running - this.#ahead);
  }

  /** As many as find a place in half the time that they may wait for one. */
  private get mostAhead(): number {
    if (this.#held >= QUICK) return 0;
    const turns = Math.min(DEPTH, LONGEST_AHEAD / 2 / this.#held);
    return Math.min(Math.ceil(this.count * turns), MOST_AHEAD);
  }

  private get mostSettling(): number {
    return this.#held < QUICK ? this.count * DEPTH : this.count;
  }

  get areFull(): boolean {
    return this.#running >= this.count;
  }

  open(): void {
    this.#closed = false;
  }

  /** Lets nobody in any more: what waits is handed back. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.tell(false);
  }

  /** For a delivery that was taken. `end` is called at its end. */
  forTaken(): Place & { end(): void } {
    let state: 'ahead' | 'inside' | 'settling' | 'over' = 'ahead';
    let since = 0;
    this.#ahead++;
    const inside = (): void => {
      this.#ahead--;
      this.#running++;
      state = 'inside';
      since = performance.now();
    };
    return {
      enter: () => {
        if (this.#closed) return false;
        if (this.areFull) return this.turn(inside);
        inside();
        return true;
      },
      leave: () => {
        if (state !== 'inside' || this.#settling >= this.mostSettling) return false;
        state = 'settling';
        this.#settling++;
        this.free(performance.now() - since);
        return true;
      },
      end: () => {
        if (state === 'ahead') this.#ahead--;
        if (state === 'settling') this.#settling--;
        if (state === 'inside') this.free(performance.now() - since);
        state = 'over';
        this.onFree();
      },
    };
  }

  private turn(inside: () => void): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        tell: (enters) => {
          clearTimeout(waiting.timer);
          if (enters) inside();
          resolve(enters);
        },
      };
      this.#waiting.push(waiting);
      waiting.timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        this.#held = Infinity; // handlers are not quick any more
        waiting.tell(false);
      }, LONGEST_AHEAD);
    });
  }

  private free(held: number): void {
    this.#running--;
    this.#held = this.#held === Infinity ? held : this.#held + (held - this.#held) * WEIGHT;
    this.#waiting.shift()?.tell(true); // at once: nobody comes in between
    this.onFree();
  }
}

interface Waiting {
  tell: (enters: boolean) => void;
  timer?: NodeJS.Timeout;
}
