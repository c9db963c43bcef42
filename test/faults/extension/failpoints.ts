import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where a process may be made to fail. Each is passed once a call, not once a batch. */
export const FAILPOINTS = [
  'before-commit',
  'after-commit',
  'before-push',
  'after-push',
  'after-mark',
  'after-claim',
  'after-effect',
  'before-settle',
  'after-settle',
  'before-acknowledge',
  'before-release-all',
  'after-reap',
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

/**
 * kill: SIGKILL to its own process. stop: SIGSTOP. throw: the call fails as if the answer had been lost. delay: it takes
 * so many ms longer.
 */
const ACTIONS = ['kill', 'stop', 'throw', 'delay'] as const;

interface Order {
  point: Failpoint;
  action: (typeof ACTIONS)[number];
  passage: number;
  ms: number;
}

/** Counts the passages of each point, and does at the n-th what was ordered. */
export class Failpoints {
  readonly #passages = new Map<Failpoint, number>();
  readonly #orders: Order[];

  /** @param orders `point:action:passage[:ms]`, comma-separated: `after-commit:kill:37,after-claim:delay:5:2000` */
  constructor(orders = '') {
    this.#orders = orders.split(',').filter(Boolean).map(parsed);
  }

  /** @param lost what a call whose answer is lost would throw */
  async pass(point: Failpoint, lost: () => Error = () => new Error(`${point}: the answer was lost`)) {
    const passage = (this.#passages.get(point) ?? 0) + 1;
    this.#passages.set(point, passage);

    const order = this.#orders.find((each) => each.point === point && each.passage === passage);
    if (!order) return;
    writeSync(2, `failpoint ${point}: ${order.action} at passage ${passage}\n`); // before the process is gone
    if (order.action === 'kill') process.kill(process.pid, 'SIGKILL');
    if (order.action === 'stop') process.kill(process.pid, 'SIGSTOP');
    if (order.action === 'throw') throw lost();
    if (order.action === 'delay') await sleep(order.ms);
  }
}

function parsed(text: string): Order {
  const [point, action, passage, ms = '1000'] = text.split(':');
  const order = { point, action, passage: Number(passage), ms: Number(ms) } as Order;
  const known = FAILPOINTS.includes(order.point) && ACTIONS.includes(order.action) && order.passage > 0;
  if (!known) throw new Error(`FAILPOINTS: "${text}" is no point:action:passage`);
  return order;
}

/** Those of this process. */
export const failpoints = new Failpoints(process.env.FAILPOINTS);
