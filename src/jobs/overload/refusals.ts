import { Logger } from '@nestjs/common';

const LOG_INTERVAL = 10_000;

/** Counts refusals of one kind; a line in the log every ten seconds at most tells of all since the last line. */
export class Refusals {
  readonly #logger = new Logger('Overload');
  #count = 0;
  #told = 0;
  #toldAt = -Infinity;

  constructor(private readonly why: string) {}

  /** Since the process started. */
  get count(): number {
    return this.#count;
  }

  add(facts: Record<string, unknown> = {}): void {
    this.#count++;
    const now = performance.now();
    if (now - this.#toldAt < LOG_INTERVAL) return;

    this.#logger.warn('submits refused', { why: this.why, count: this.#count - this.#told, ...facts });
    this.#told = this.#count;
    this.#toldAt = now;
  }
}
