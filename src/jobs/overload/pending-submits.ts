import { Injectable } from '@nestjs/common';
import { Overloaded } from '../job.errors.js';
import type { JobDraft } from '../job.js';
import { Refusals } from './refusals.js';

/** Jobs that may wait in one process for their commit, and their data in UTF-16 code units of its JSON text. */
export const MAX_PENDING_ROWS = 20_000;
export const MAX_PENDING_LENGTH = 64 * 1_048_576;

/** What waits in this process to be put on record, which is bounded. */
@Injectable()
export class PendingSubmits {
  readonly #refusals = new Refusals('too many jobs wait for their commit');
  #rows = 0;
  #length = 0;

  get rows(): number {
    return this.#rows;
  }

  get refused(): number {
    return this.#refusals.count;
  }

  /** Does the work, which puts the drafts on record, unless too much waits already. @throws Overloaded */
  async hold<T>(drafts: readonly JobDraft[], work: () => Promise<T>): Promise<T> {
    const length = drafts.reduce((sum, { json }) => sum + json.length, 0);
    this.assertRoom(drafts.length, length);
    this.#rows += drafts.length;
    this.#length += length;
    try {
      return await work();
    } finally {
      this.#rows -= drafts.length;
      this.#length -= length;
    }
  }

  /** Where nothing waits, there is room for anything. @throws Overloaded */
  private assertRoom(rows: number, length: number): void {
    if (this.#rows === 0) return;
    if (this.#rows + rows <= MAX_PENDING_ROWS && this.#length + length <= MAX_PENDING_LENGTH) return;

    this.#refusals.add({ pendingRows: this.#rows, pendingLength: this.#length });
    throw new Overloaded('Too many jobs wait for their commit in this process; try again.');
  }
}
