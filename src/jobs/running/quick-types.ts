import { Injectable } from '@nestjs/common';

/** A type is quick while its handlers take less than this (ms) on the average, known from so many. */
const QUICK = 50;
const KNOWN_FROM = 10;
/** Of each new time, the share that counts for the average. */
const WEIGHT = 0.1;
/** A handler that takes so long (ms) has its type learnt anew. */
const LONG = 1_000;

interface Times {
  average: number;
  known: number;
}

/**
 * The job types whose handlers are over in moments, as this process has seen. Only those start before their claim is on
 * record: one that computes for long keeps it from being written, and its job would be given to another worker.
 */
@Injectable()
export class QuickTypes {
  readonly #times = new Map<string, Times>();
  #names: readonly string[] = [];

  get names(): readonly string[] {
    return this.#names;
  }

  has(type: string): boolean {
    return this.#names.includes(type);
  }

  /** @param took ms from the handler's start to its end */
  ran(type: string, took: number): void {
    const times = this.#times.get(type) ?? { average: took, known: 0 };
    this.#times.set(type, times);
    times.average += (took - times.average) * WEIGHT;
    times.known = took < LONG ? times.known + 1 : 0;

    const quick = times.known >= KNOWN_FROM && times.average < QUICK;
    if (quick === this.#names.includes(type)) return;
    this.#names = quick ? [...this.#names, type] : this.#names.filter((name) => name !== type);
  }
}
