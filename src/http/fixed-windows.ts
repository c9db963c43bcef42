import type { ThrottlerStorage } from '@nestjs/throttler';

interface Window {
  hits: number;
  endsAt: number;
}

type Verdict = Awaited<ReturnType<ThrottlerStorage['increment']>>;

/**
 * Counts hits in fixed windows, in this process. The package's own storage starts a timer a hit; this one starts none,
 * and never holds more than `most` clients: past that, the oldest window is forgotten.
 */
export class FixedWindows implements ThrottlerStorage {
  /** In order of start: the length is the same for all, so those that are over come first. */
  readonly #windows = new Map<string, Window>();

  constructor(
    private readonly most = 10_000,
    private readonly now: () => number = Date.now,
  ) {}

  /** @param ttl length of the window in ms; times come back in seconds */
  async increment(client: string, ttl: number, limit: number): Promise<Verdict> {
    const now = this.now();
    const window = this.windowOf(client, now, ttl);
    window.hits += 1;

    const secondsLeft = Math.ceil((window.endsAt - now) / 1_000);
    return {
      totalHits: window.hits,
      timeToExpire: secondsLeft,
      isBlocked: window.hits > limit,
      timeToBlockExpire: secondsLeft,
    };
  }

  private windowOf(client: string, now: number, ttl: number): Window {
    const current = this.#windows.get(client);
    if (current && current.endsAt > now) return current;

    this.#windows.delete(client);
    this.makeRoom(now);
    const started = { hits: 0, endsAt: now + ttl };
    this.#windows.set(client, started);
    return started;
  }

  private makeRoom(now: number): void {
    for (const [client, { endsAt }] of this.#windows) {
      if (endsAt > now && this.#windows.size < this.most) return;
      this.#windows.delete(client);
    }
  }
}
