import type { Worker } from 'bullmq';

/** BullMQ lets a lock grow as old as half its life: after another quarter there is one left. */
const PER_LIFE = 4;

/** Keeps the locks of deliveries until they are ended: one whose lock is over is given to somebody else. */
export class DeliveryLocks {
  readonly #held = new Map<string, { token: string; since: number }>();
  readonly #lifetime: number;
  #timer?: NodeJS.Timeout;
  #asked = false;

  constructor(private readonly worker: Worker) {
    this.#lifetime = worker.opts.lockDuration ?? 30_000;
  }

  hold(id: string, token: string): void {
    this.#held.set(id, { token, since: performance.now() });
    this.#timer ??= setInterval(() => void this.renew(), this.#lifetime / PER_LIFE).unref();
  }

  /** @param token of a lock that another one may have followed here */
  release(id: string, token: string): void {
    if (this.#held.get(id)?.token === token) this.#held.delete(id);
  }

  /** Those that are held for a whole turn already: most are over before that. A lock that is lost stays lost. */
  private async renew(): Promise<void> {
    if (this.#held.size === 0 || this.worker.closing) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const before = performance.now() - this.#lifetime / PER_LIFE;
    const old = [...this.#held].filter(([, { since }]) => since <= before);
    if (old.length === 0 || this.#asked) return;

    const ids = old.map(([id]) => id);
    const tokens = old.map(([, { token }]) => token);
    this.#asked = true;
    try {
      await this.worker.getBackend().extendLocks(ids, tokens, this.#lifetime);
    } catch (error) {
      this.worker.emit('error', error as Error);
    } finally {
      this.#asked = false;
    }
  }
}
