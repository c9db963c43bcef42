import { isDataError, isDeadlock, isLockTimeout, isUnavailable, throughDeadlocks } from './database-error.js';

/** Bounds of one flush. A single item that exceeds them alone is flushed alone. */
export interface FlushLimits {
  rows: number;
  bytes: number;
}

export interface GroupCommitOptions<Item> {
  limits?: FlushLimits;
  rowsOf?: (item: Item) => number;
  bytesOf?: (item: Item) => number;
}

interface Pending<Item, Answer> {
  item: Item;
  rows: number;
  bytes: number;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

const DEFAULT_LIMITS: FlushLimits = { rows: 2_000, bytes: 8 * 1_048_576 };
const MOST_LOCKED = 2;

/**
 * Requests made at the same time share one statement and one commit. It is flushed as soon as the one in flight
 * returns: nothing waits for a timer, and a lone request waits for nobody.
 *
 * A deadlock is tried again; an error in the data bisects the batch, so that a poison row fails alone; a lock timeout
 * goes on row by row; whatever else (the database is gone) fails all that waits.
 */
export class GroupCommit<Item, Answer> {
  readonly #pending: Pending<Item, Answer>[] = [];
  #flushing = false;

  /** @param flush one set-based statement for all items; answers in their order */
  constructor(
    private readonly flush: (items: Item[]) => Promise<Answer[]>,
    private readonly options: GroupCommitOptions<Item> = {},
  ) {}

  submit(item: Item): Promise<Answer> {
    const rows = this.options.rowsOf?.(item) ?? 1;
    const bytes = this.options.bytesOf?.(item) ?? 0;

    return new Promise((resolve, reject) => {
      this.#pending.push({ item, rows, bytes, resolve, reject });
      if (this.#flushing) return;
      this.#flushing = true;
      // Requests that the same turn of the event loop brings in join the first flush.
      setImmediate(() => void this.flushAll());
    });
  }

  private async flushAll(): Promise<void> {
    while (this.#pending.length > 0) await this.settle(this.nextBatch());
    this.#flushing = false;
  }

  private nextBatch(): Pending<Item, Answer>[] {
    const { rows: mostRows, bytes: mostBytes } = this.options.limits ?? DEFAULT_LIMITS;
    let count = 0;
    let rows = 0;
    let bytes = 0;
    for (const next of this.#pending) {
      rows += next.rows;
      bytes += next.bytes;
      if (count > 0 && (rows > mostRows || bytes > mostBytes)) break;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  private async settle(batch: Pending<Item, Answer>[]): Promise<void> {
    try {
      const answers = await throughDeadlocks(() => this.flush(batch.map(({ item }) => item)));
      batch.forEach(({ resolve }, index) => resolve(answers[index] as Answer));
    } catch (error) {
      if (isDataError(error) && batch.length > 1) return this.bisect(batch);
      if (isLockTimeout(error) && batch.length > 1) return this.oneByOne(batch);

      const ofOthers = isLockTimeout(error) || isDeadlock(error);
      const alsoLost = !ofOthers && isUnavailable(error) ? this.#pending.splice(0) : [];
      for (const { reject } of [...batch, ...alsoLost]) reject(error);
    }
  }

  private async bisect(batch: Pending<Item, Answer>[]): Promise<void> {
    const middle = batch.length >> 1;
    await this.settle(batch.slice(0, middle));
    await this.settle(batch.slice(middle));
  }

  /** A row or two may be locked for long. Where more are, the table is: then none of the rest waits its turn in vain. */
  private async oneByOne(batch: Pending<Item, Answer>[]): Promise<void> {
    let locked: unknown;
    let count = 0;
    for (const one of batch) {
      if (count === MOST_LOCKED) {
        one.reject(locked);
        continue;
      }
      const reject = (error: unknown): void => {
        one.reject(error);
        if (!isLockTimeout(error)) return;
        locked = error;
        count++;
      };
      await this.settle([{ ...one, reject }]);
    }
  }
}
