import { QueueKeys, type Worker } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { withDeliveryScripts } from './delivery-scripts.js';
import { RETENTION } from './retention.js';

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

/** A delivery in this worker's hands, under a lock that bears the token. */
export interface Taken {
  id: string;
  token: string;
  /** Somebody had it before, and did not end it. */
  again: boolean;
}

/** How a delivery ends. */
export interface End extends Pick<Taken, 'id' | 'token'> {
  /** The result as JSON, or the reason. */
  value: string;
  /** JSON of BullMQ's list of stack traces; empty where it is completed. */
  stack: string;
}

/** What became of one question. */
export interface BatchAnswer {
  /** For each end: 0, 1 where it had ended before, or BullMQ's number for what it refuses. */
  codes: number[];
  /** In their order; undefined where BullMQ's own script must judge what may be taken. */
  taken?: Taken[];
}

/** BullMQ numbers what its scripts refuse: a lock that was lost, a job that is gone. */
export function isRefusal(error: Error): boolean {
  return 'code' in error && typeof error.code === 'number' && error.code < 0;
}

/** Ends deliveries of a lane and takes others in one script, where BullMQ runs one for each. */
export class DeliveryBatches {
  readonly #keys: string[];
  readonly #prefix: string;
  readonly #settings: (string | number)[];
  /** With it all tokens of this worker begin. */
  readonly #tokenHead: string;
  readonly #worker: Worker;
  #tokens = 0;

  constructor(worker: Worker) {
    const { prefix, name = '', lockDuration = 30_000 } = worker.opts;
    const keys = new QueueKeys(prefix).getKeys(worker.name);
    this.#worker = worker;
    this.#tokenHead = `${worker.id}:`;
    this.#keys = KEYS.map((key) => keys[key] ?? '');
    this.#prefix = keys[''] ?? '';
    this.#settings = [lockDuration, name, RETENTION.removeOnComplete.count, RETENTION.removeOnFail.count];
  }

  /** As BullMQ's own script would bear it. */
  nextToken(): string {
    return `${this.#tokenHead}${++this.#tokens}`;
  }

  /** Leaves the marker for which idle workers wait. */
  async wakeOne(): Promise<void> {
    const client = (await this.#worker.getBackend().client) as unknown as Redis | Cluster;
    await client.zadd(this.#keys[KEYS.indexOf('marker')] ?? '', 0, '0');
  }

  /** @param room how many may be taken */
  async endAndTake(ends: readonly End[], room: number): Promise<BatchAnswer> {
    const client = withDeliveryScripts(
      (await this.#worker.getBackend().client) as unknown as Redis | Cluster,
    );
    const words: (string | number)[] = [
      ...this.#keys,
      this.#prefix,
      Date.now(),
      ...this.#settings,
      this.#tokenHead,
      this.#tokens,
      room,
    ];
    for (const { id, token, value, stack } of ends)
      words.push(id, token.slice(this.#tokenHead.length), value, stack);

    const first = this.#tokens + 1;
    this.#tokens += room;
    const [codes, ids, again] = await client.endAndTake(...words);
    const taken = ids?.map((id, nth) => ({
      id,
      token: `${this.#tokenHead}${first + nth}`,
      again: again.length > 0 && again.includes(id),
    }));
    return { codes, ...(taken && { taken }) };
  }
}
