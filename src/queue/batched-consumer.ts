import { QueueKeys, type Job, type Worker } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { parseDeliveryId } from './delivery-id.js';
import { withDeliveryScripts } from './delivery-scripts.js';
import { RETENTION } from './retention.js';
import { SettlingLocks } from './settling-locks.js';

/** More wait for the next script: `unpack` bears some thousands, and a script holds up everybody else's. */
const MOST_A_SCRIPT = 250;

/** In the order in which the script takes them. */
const KEYS = [
  'wait',
  'active',
  'prioritized',
  'stalled',
  'delayed',
  'meta',
  'marker',
  'pc',
  'completed',
  'failed',
] as const;

type Backend = ReturnType<Worker['getBackend']>;

/** BullMQ's form of the next delivery: its data, its id, and two delays. Empty where none waits. */
type Next = unknown[];

interface Asked {
  token: string;
  resolve: (next: Next) => void;
  reject: (error: unknown) => void;
}

interface End {
  id: string;
  token: string;
  outcome: 'completed' | 'failed';
  /** The result as JSON, or the reason. */
  value: string;
  /** JSON of BullMQ's list of stack traces. */
  stack: string;
  takesNext: boolean;
}

/**
 * Frees the place of a delivery whose processor is about to return, though its outcome is not known yet.
 * @param outcome what the delivery ends with, or rejects with, and is then told to the queue
 */
export type EndLater = (job: Job, outcome: Promise<unknown>) => void;

/**
 * From now on what a worker ends and takes in one turn of the event loop goes to Redis in one script, where BullMQ runs
 * one for each delivery. The worker is given ids alone: what they stand for it reads from the record.
 */
export function consumeInBatches(worker: Worker): EndLater {
  const backend = worker.getBackend();
  const moveToActive = backend.moveToActive.bind(backend);
  const moveToCompleted = backend.moveToCompleted.bind(backend);
  const moveToFailed = backend.moveToFailed.bind(backend);
  const batches = new Batches(worker, moveToActive);

  /** BullMQ asks again where the queue did not answer: then the end is under way already. */
  const later = new WeakMap<object, Promise<unknown> | 'under way'>();
  const locks = new SettlingLocks(worker);

  backend.moveToActive = (token) => batches.take(token);
  backend.moveToCompleted = async (job, result, kept, token, takesNext) => {
    if (!isOurs(job.id)) return moveToCompleted(job, result, kept, token, takesNext);
    const outcome = later.get(job);
    if (!outcome) return ended(await batches.end({ ...completed(job.id, token, result), takesNext }));

    if (outcome !== 'under way') endWith(outcome, job.id, token);
    later.set(job, 'under way');
    return taken(token, takesNext);
  };
  backend.moveToFailed = async (job, reason, kept, token, takesNext, fields) => {
    if (!isOurs(job.id)) return moveToFailed(job, reason, kept, token, takesNext, fields);
    // What failed is the fetch of the next one.
    if (later.has(job)) return taken(token, takesNext);
    const stack = String(fields?.stacktrace ?? '[]');
    return ended(
      await batches.end({ id: job.id, token, outcome: 'failed', value: reason, stack, takesNext }),
    );
  };

  const taken = async (token: string, takesNext: boolean) =>
    ended(takesNext ? await batches.take(token) : []);

  /** A lock that is lost meanwhile is no error: whoever has it by now finds that the record has done with the delivery. */
  const endWith = (outcome: Promise<unknown>, id: string, token: string): void => {
    locks.hold(id, token);
    outcome
      .then(
        (result) => batches.end(completed(id, token, result)),
        (error: Error) => batches.end(failed(id, token, error)),
      )
      .catch((error: Error) => isRefusal(error) || worker.emit('error', error))
      .finally(() => locks.release(id));
  };
  return (job, outcome) => void later.set(job, outcome);
}

function completed(id: string, token: string, result: unknown): End {
  const value = JSON.stringify(result ?? null);
  return { id, token, outcome: 'completed', value, stack: '', takesNext: false };
}

function failed(id: string, token: string, { message, stack }: Error): End {
  return { id, token, outcome: 'failed', value: message, stack: JSON.stringify([stack]), takesNext: false };
}

/** BullMQ numbers what its scripts refuse: a lock that was lost, a job that is gone. */
export function isRefusal(error: Error): boolean {
  return 'code' in error && typeof error.code === 'number' && error.code < 0;
}

/** What somebody else put into the queue may have parents and more, and is BullMQ's own to end: as failed, see JobsProcessor. */
function isOurs(id: string | undefined): id is string {
  return parseDeliveryId(id) !== undefined;
}

function ended(result: Next): { result: Next; finishedOn: number } {
  return { result, finishedOn: Date.now() };
}

class Batches {
  readonly #backend: Backend;
  readonly #name: string;
  /** What each script begins with, but for the time. */
  readonly #keys: string[];
  readonly #prefix: string;
  readonly #settings: (string | number)[];
  #ending: (End & Asked)[] = [];
  #taking: Asked[] = [];
  #scheduled = false;

  /** @param takeOne BullMQ's own way, for a queue of which the script cannot judge */
  constructor(
    worker: Worker,
    private readonly takeOne: Backend['moveToActive'],
  ) {
    const { prefix, name = '', lockDuration = 30_000 } = worker.opts;
    const keys = new QueueKeys(prefix).getKeys(worker.name);
    this.#backend = worker.getBackend();
    this.#name = name;
    this.#keys = KEYS.map((key) => keys[key] ?? '');
    this.#prefix = keys[''] ?? '';
    this.#settings = [lockDuration, name, RETENTION.removeOnComplete.count, RETENTION.removeOnFail.count];
  }

  take(token: string): Promise<Next> {
    return new Promise((resolve, reject) => {
      this.#taking.push({ token, resolve, reject });
      this.schedule();
    });
  }

  /** @throws Error of BullMQ's where the lock or the delivery is lost; nothing is taken then */
  end(end: End): Promise<Next> {
    return new Promise((resolve, reject) => {
      this.#ending.push({ ...end, resolve, reject });
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#ending.length + this.#taking.length > 0) {
        const ending = this.#ending.splice(0, MOST_A_SCRIPT);
        void this.run(ending, this.#taking.splice(0, MOST_A_SCRIPT - ending.length));
      }
    });
  }

  private async run(ending: (End & Asked)[], taking: Asked[]): Promise<void> {
    try {
      if (this.#backend.closing) ending.forEach((one) => (one.takesNext = false));
      const now = Date.now();
      const [codes, ids] = await this.ask(now, ending, taking);

      const takers = taking.slice();
      for (const [nth, one] of ending.entries()) {
        const code = codes[nth] ?? 0;
        if (code < 0) one.reject(this.refusal(one.id, code));
        else if (code === 0 && one.takesNext) takers.push(one);
        else one.resolve([]);
      }
      takers.forEach((taker, nth) => this.give(taker, ids && { id: ids[nth], now }));
    } catch (error) {
      for (const { reject } of [...ending, ...taking]) reject(error);
    }
  }

  private async ask(now: number, ending: End[], taking: Asked[]): Promise<[codes: number[], ids?: string[]]> {
    const client = withDeliveryScripts((await this.#backend.client) as unknown as Redis | Cluster);
    const words: (string | number)[] = [...this.#keys, this.#prefix, now, ...this.#settings, ending.length];
    for (const { id, token, outcome, value, stack, takesNext } of ending)
      words.push(id, token, outcome, value, stack, takesNext ? 1 : 0);
    for (const { token } of taking) words.push(token);
    return client.endAndTake(...words);
  }

  private give({ token, resolve, reject }: Asked, taken?: { id: string | undefined; now: number }): void {
    if (!taken) this.takeOne(token, this.#name).then(resolve, reject);
    else resolve(taken.id === undefined ? [] : [delivered(taken.id, taken.now), taken.id, 0, 0]);
  }

  private refusal(jobId: string, code: number): Error {
    return this.#backend.finishedErrors({ code, jobId, command: 'moveToFinished', state: 'active' });
  }
}

const OPTIONS = { attempts: 1, keepLogs: RETENTION.keepLogs };

/** As much of a delivery as BullMQ's worker asks for: from `processedOn` it knows when to renew the lock. */
function delivered(id: string, now: number): object {
  return {
    id,
    name: 'delivery',
    data: '{}',
    opts: OPTIONS,
    progress: 0,
    delay: 0,
    priority: 0,
    timestamp: now,
    attemptsStarted: 1,
    attemptsMade: 0,
    stalledCounter: 0,
    processedOn: now,
  };
}
