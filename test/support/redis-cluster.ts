import { setTimeout as sleep } from 'node:timers/promises';
import { isFree, freePort } from './ports.js';
import { type PrivateRedis, startRedis } from './redis.js';

const SLOTS = 16_384;
/** Where a node talks to the others, above where it talks to clients. */
const BUS = 10_000;

export interface RedisClusterOptions {
  masters?: number;
  /** Of each node. */
  settings?: Record<string, string>;
}

/** Starts a Redis Cluster of the test's own: masters alone, which share the slots evenly, durable, and bound to this machine. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<PrivateRedisCluster> {
  const { masters = 3, settings = {} } = options;
  const nodes = await Promise.all(
    Array.from({ length: masters }, () =>
      startRedis({
        appendonly: true,
        port: clusterPort,
        settings: {
          'cluster-enabled': 'yes',
          'cluster-node-timeout': '1000',
          'cluster-require-full-coverage': 'no',
          ...settings,
        },
      }),
    ),
  );
  const cluster = new PrivateRedisCluster(nodes);
  await cluster.join();
  return cluster;
}

/** Masters without replicas: a test may kill one, and start it again in its place. */
export class PrivateRedisCluster {
  constructor(readonly nodes: readonly PrivateRedis[]) {}

  /** All nodes, as REDIS_URL names them. */
  get url(): string {
    return this.nodes.map(({ url }) => url).join(',');
  }

  /** The node whose slots hold this key. */
  async nodeOf(key: string): Promise<PrivateRedis> {
    const slot = Number.parseInt((await this.first.command(`CLUSTER KEYSLOT ${key}`)).slice(1), 10);
    const node = this.nodes[Math.floor(slot / this.share)];
    if (!node) throw new Error(`no node has slot ${slot}`);
    return node;
  }

  /** Moves a key's slot, with all that is in it, while clients go on. */
  async moveSlotOf(key: string, to: PrivateRedis): Promise<void> {
    const from = await this.nodeOf(key);
    const slot = Number.parseInt((await this.first.command(`CLUSTER KEYSLOT ${key}`)).slice(1), 10);
    const [source, target] = await Promise.all([from, to].map(idOf));
    await expectOk(to, `CLUSTER SETSLOT ${slot} IMPORTING ${source}`);
    await expectOk(from, `CLUSTER SETSLOT ${slot} MIGRATING ${target}`);
    for (;;) {
      const found = await from.command(`CLUSTER GETKEYSINSLOT ${slot} 100`);
      const keys = found.split('\r\n').filter((line) => line.startsWith('{'));
      if (keys.length === 0) break;
      await expectOk(from, `MIGRATE 127.0.0.1 ${to.port} "" 0 5000 KEYS ${keys.join(' ')}`);
    }
    for (const node of [to, from]) await expectOk(node, `CLUSTER SETSLOT ${slot} NODE ${target}`);
  }

  /** Returns when all nodes know of all slots, and serve them. */
  async isWhole(): Promise<void> {
    await Promise.all(this.nodes.map((node) => isWhole(node)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** Gives each node its slots, and returns when all know of all. */
  async join(): Promise<void> {
    for (const [n, node] of this.nodes.entries()) {
      const first = n * this.share;
      const slots = Array.from({ length: Math.min(this.share, SLOTS - first) }, (_, slot) => first + slot);
      await expectOk(node, `CLUSTER ADDSLOTS ${slots.join(' ')}`);
      await expectOk(this.first, `CLUSTER MEET 127.0.0.1 ${node.port}`);
    }
    await this.isWhole();
  }

  get first(): PrivateRedis {
    const [first] = this.nodes;
    if (!first) throw new Error('the cluster has no nodes');
    return first;
  }

  private get share(): number {
    return Math.ceil(SLOTS / this.nodes.length);
  }
}

async function isWhole(node: PrivateRedis): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const info = await node.command('CLUSTER INFO');
    if (/cluster_state:ok/.test(info) && info.includes(`cluster_slots_ok:${SLOTS}`)) return;
    if (Date.now() > deadline) throw new Error(`the cluster does not come together:\n${info}`);
    await sleep(50);
  }
}

async function clusterPort(): Promise<number> {
  for (;;) {
    const port = await freePort(15_000, 22_000);
    if (await isFree(port + BUS)) return port;
  }
}

async function idOf(node: PrivateRedis): Promise<string> {
  return /[0-9a-f]{40}/.exec(await node.command('CLUSTER MYID'))?.[0] ?? '';
}

async function expectOk(node: PrivateRedis, command: string): Promise<void> {
  const reply = await node.command(command);
  if (!reply.startsWith('+OK')) throw new Error(`${command.slice(0, 40)}: ${reply}`);
}
