/**
 * Runs one task again and again, never twice at a time, with a pause between the end of one run and the next: the one
 * that it asks for (ms), or else always the same.
 */
export class Repeater {
  #timer?: NodeJS.Timeout;
  #running?: Promise<void>;
  #stopped = true;

  /** @param task must not reject @param interval ms */
  constructor(
    private readonly task: () => Promise<number | void>,
    private readonly interval: number,
  ) {}

  start(): void {
    this.#stopped = false;
    this.schedule(0);
  }

  /** Resolves once the run under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  private schedule(delay: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run();
    }, delay);
  }

  private async run(): Promise<void> {
    let pause: number | void = undefined;
    try {
      pause = await this.task();
    } finally {
      if (!this.#stopped) this.schedule(pause ?? this.interval);
    }
  }
}
