/** What the pool needs to know of a thread. */
export interface PooledThread {
  readonly ended: boolean;
  close(): Promise<void>;
}

interface Waiting {
  admit: () => void;
}

/**
 * So many threads at most, each for one attempt at a time: started when one is first needed, kept warm, and replaced where
 * one has ended. Who finds none free waits its turn, first come, first served.
 */
export class ThreadPool<Thread extends PooledThread> {
  readonly #idle: Thread[] = [];
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #closed = false;

  constructor(
    private readonly size: number,
    private readonly start: () => Promise<Thread>,
  ) {}

  /**
   * @returns undefined where the signal came first
   * @throws what the start of a thread threw
   */
  async take(signal: AbortSignal): Promise<Thread | undefined> {
    if (!(await this.turn(signal))) return undefined;
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) if (!idle.ended) return idle;

    const starting = this.start();
    const stopped = aborted(signal);
    try {
      const thread = await Promise.race([starting, stopped.promise]);
      // What has begun to start is of use to the next one.
      if (!thread) void starting.then((late) => this.giveBack(late)).catch(() => this.leave());
      return thread;
    } catch (error) {
      this.leave();
      throw error;
    } finally {
      stopped.forget();
    }
  }

  /** Takes back what `take` gave, alive or not. */
  giveBack(thread: Thread): void {
    if (this.#closed) void thread.close();
    else if (!thread.ended) this.#idle.push(thread);
    this.leave();
  }

  /** Ends the threads that are free, and each other one when it is given back. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map((thread) => thread.close()));
  }

  private turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#taken < this.size) {
      this.#taken++;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        resolve(false);
      };
      const admit = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve(true);
      };
      const waiting = { admit };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /** A place is handed on, and counts as taken all the while. */
  private leave(): void {
    const next = this.#waiting.shift();
    if (next) next.admit();
    else this.#taken--;
  }
}

function aborted(signal: AbortSignal): { promise: Promise<undefined>; forget: () => void } {
  let forget: () => void = () => undefined;
  const promise = new Promise<undefined>((resolve) => {
    const tell = (): void => resolve(undefined);
    signal.addEventListener('abort', tell, { once: true });
    forget = () => signal.removeEventListener('abort', tell);
  });
  return { promise, forget };
}
