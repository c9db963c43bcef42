/** FAULT_SEED replays a run; without it each run has a seed of its own, which is printed when it fails. */
export const SEED = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 1_000_000));

/** The same seed and name give the same schedule, whichever scenarios run before it. */
export class Random {
  #state: number;

  constructor(name: string, seed = SEED) {
    this.#state = [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) | 0, seed);
  }

  /** 0 to 1, exclusive (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** From `least` to `most`, both inclusive. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.integer(0, values.length - 1)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  }

  shuffled<Value>(values: readonly Value[]): Value[] {
    return values
      .map((value) => ({ value, place: this.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ value }) => value);
  }

  /** So many moments in the course of `total`, in order, never at its very start or end. */
  moments(count: number, total: number): number[] {
    const step = total / (count + 1);
    return Array.from({ length: count }, (_, n) => Math.round(step * (n + 0.6 + this.next() * 0.8)));
  }
}
