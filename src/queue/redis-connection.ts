import { Logger } from '@nestjs/common';
import { type Queue, setDefaultBackendFactory, type Worker } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { RedisServers } from '../config/redis-servers.js';
import type { Lane, QueueMark } from '../jobs/job-queue.js';
import { addInScripts } from './delivery-scripts.js';
import { LaneConsumer, type RunDelivery } from './lane-consumer.js';
import { laneTag, lanePrefix } from './lanes.js';
import { type DeliveryCard, type DeliveryEntry, QueueConnection } from './queue-connection.js';
import { assertFit, assertMode, type RedisInfo, warningsOf } from './redis-checks.js';
import { producerClient } from './redis-clients.js';
import { fromEach, masterOf } from './redis-nodes.js';
import { writeEachByTurn } from './turn-writes.js';
import { within } from './within.js';

/** How long a boot waits, so that the first push does not come too early. */
const LONGEST_CONNECT = 500;

/**
 * The epoch and the server that gave it, whichever holds the slot at that moment: after a failover or a move it is another.
 * A managed server may refuse to tell of itself, and then has no name.
 */
const READ_MARK = `
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
return { redis.call('GET', KEYS[1]), run or '' }`;

/** Whoever wiped or restored the server in between is seen: the epoch is not the expected one any more. */
const WRITE_MARK = `
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`;

/** One client for everything that the process asks Redis, besides what its workers do. */
export class RedisConnection extends QueueConnection {
  readonly producer: Redis | Cluster;

  private readonly logger = new Logger('Queue');
  private readonly lastErrors = new Map<string, Error>();
  private booting = false;
  private inspected = false;

  constructor(
    servers: RedisServers,
    private readonly prefix: string,
  ) {
    super();
    this.selectBackend();
    this.producer = producerClient(servers);
    this.producer.setMaxListeners(0); // every lane listens
    this.producer.on('error', (error: Error) => {
      const cause = causeOf(error);
      if (!isRefusal(cause)) this.lastErrors.set('', cause);
      this.outages.failed(this.reasonFor(cause, ''));
    });
    this.producer.on('node error', (error: Error, node: string) => this.lastErrors.set(node, error));
    this.producer.on('ready', () => void this.onReady());
  }

  selectBackend(): void {
    setDefaultBackendFactory();
  }

  /** @throws RedisUnfit where a server answers, and is too old, or not what it was taken for */
  async connect(): Promise<void> {
    this.booting = true;
    const connected = await within(LONGEST_CONNECT, this.producer.connect()).then(
      () => true,
      () => false, // told as an 'error' event, and retried
    );
    this.booting = false;
    if (connected) await this.inspect();
    else assertMode(this.lastErrors.get(''));
  }

  override serverOf(lane: Lane): string {
    return masterOf(this.producer, laneTag(this.prefix, lane));
  }

  /** Where nothing can be sent, ioredis names the option that says so or its own retries, not the reason. */
  reasonFor(error: unknown, server: string): unknown {
    if (!isRefusal(error)) return error;
    return this.lastErrors.get(server) ?? this.lastErrors.get('') ?? new Error('not connected yet');
  }

  makeRoom(): void {
    // workers connect on their own
  }

  consumerOf(worker: Worker, run: RunDelivery): LaneConsumer {
    const client = worker.getBackend().client as unknown as Promise<Redis | Cluster>;
    client.then(writeEachByTurn).catch(() => undefined); // whoever uses it notices
    return new LaneConsumer(worker, run);
  }

  async ping(): Promise<void> {
    await fromEach(this.producer, async (client, node) => {
      if (node) await assertServes(client);
      else await client.ping();
    });
  }

  override async add(queue: Queue<DeliveryCard>, entries: readonly DeliveryEntry[]): Promise<void> {
    await addInScripts(this.producer, queue.keys, entries);
  }

  async readMark(lane: Lane): Promise<QueueMark | undefined> {
    const answer = await this.producer.eval(READ_MARK, 1, this.markKey(lane));
    const [epoch, server] = answer as [string | null, string];
    return epoch === null ? undefined : { epoch: Number(epoch), server };
  }

  async writeMark(lane: Lane, epoch: number, after?: number): Promise<boolean> {
    const written = await this.producer.eval(WRITE_MARK, 1, this.markKey(lane), epoch, after ?? '');
    return written === 1;
  }

  onApplicationShutdown(): void {
    this.producer.disconnect();
  }

  private markKey(lane: Lane): string {
    return `${lanePrefix(this.prefix, lane)}:mark`;
  }

  private async onReady(): Promise<void> {
    this.outages.answered();
    if (this.booting) return;
    await this.inspect().catch((error: unknown) => this.logger.error(error)); // too late to refuse the start
  }

  /** Once a process, not once a connection. @throws RedisUnfit */
  private async inspect(): Promise<void> {
    if (this.inspected) return;
    // Where a connection breaks, the next one is asked.
    const told = await fromEach(this.producer, async (client, name) => ({
      name,
      info: await infoOf(client),
    })).catch(() => undefined);
    if (!told || this.inspected) return;

    this.inspected = true;
    for (const { info, name } of told) assertFit(info, name);
    const warnings = new Set(told.flatMap(({ info }) => [...warningsOf(info)]));
    for (const warning of warnings) this.logger.warn(warning);
  }
}

/** A node answers a ping even where it refuses all keys, because too much of the Cluster is away. */
async function assertServes(node: Redis): Promise<void> {
  const [state] = /cluster_state:\w+/.exec(String(await node.cluster('INFO'))) ?? [];
  if (state === 'cluster_state:fail') throw new Error('CLUSTERDOWN The cluster is down');
}

/** A managed server may refuse to tell: then it is taken as it is. */
async function infoOf(client: Redis): Promise<RedisInfo> {
  const text = await client.info().catch((error: unknown) => {
    if (error instanceof Error && error.name === 'ReplyError') return '';
    throw error;
  });
  const lines = text.split(/\r?\n/).map((line) => line.split(':', 2));
  return Object.fromEntries(lines.map(([name = '', value = '']) => [name, value]));
}

/** A Cluster client says only that no node told of the slots; why not, it keeps beside. */
function causeOf(error: Error): Error {
  return 'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    /enableOfflineQueue|Too many Cluster redirections|Connection is closed|Failed to refresh slots/.test(
      error.message,
    )
  );
}
