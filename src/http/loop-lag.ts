import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';

const INTERVAL = 100;
/** For so long (ms) every tick must come late, until the loop counts as blocked: a single pause does not. */
const PATIENCE = 1_000;

/** How late the event loop of this process runs its timers. */
@Injectable()
export class LoopLag implements OnApplicationBootstrap, OnApplicationShutdown {
  #timer?: NodeJS.Timeout;
  #due = 0;
  #lag = 0;
  #lateSince?: number;

  /** @param limit ms; 0: none */
  constructor(private readonly limit: number) {}

  onApplicationBootstrap(): void {
    this.#due = performance.now() + INTERVAL;
    this.#timer = setInterval(() => this.tick(performance.now()), INTERVAL).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** ms, at the last tick */
  get lag(): number {
    return this.#lag;
  }

  /** Every tick of the last second, and of more where they are rare, was later than the limit. */
  get overLimit(): boolean {
    return this.#lateSince !== undefined && this.#due - INTERVAL - this.#lateSince >= PATIENCE;
  }

  /** @param now on the clock of `performance.now`. Exposed for tests. */
  tick(now: number): void {
    this.#lag = Math.max(0, now - this.#due);
    this.#due = now + INTERVAL;
    if (this.limit > 0 && this.#lag > this.limit) this.#lateSince ??= now;
    else this.#lateSince = undefined;
  }
}
