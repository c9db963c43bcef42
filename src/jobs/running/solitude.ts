import { Injectable } from '@nestjs/common';

/**
 * Lets ordinary attempts run side by side, and a suspect only alone: it waits until the others are done, and meanwhile
 * none starts. First come, first served.
 */
@Injectable()
export class Solitude {
  readonly #queue: { alone: boolean; enter: () => void }[] = [];
  #inside = 0;
  #alone = false;

  /** @returns how to leave again */
  async enter(alone: boolean): Promise<() => void> {
    await new Promise<void>((enter) => {
      this.#queue.push({ alone, enter });
      this.admit();
    });
    return () => this.leave();
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
