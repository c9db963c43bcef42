import { Logger } from '@nestjs/common';
import { setDefaultBackendFactory, type Worker } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import type { Lane, QueueMark } from '../jobs/job-queue.js';
import { lanePrefix } from './lanes.js';
import { QueueConnection } from './queue-connection.js';
import { assertFit, type RedisInfo, warningsOf } from './redis-checks.js';
import { type SocketOwner, writeByTurn } from './turn-writes.js';
import { within } from './within.js';

/** Producers fail fast: nothing waits for a connection, and a hung server costs one timeout. */
const PRODUCER: RedisOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  commandTimeout: 2_000,
  connectTimeout: 2_000,
  disconnectTimeout: 500,
  maxRetriesPerRequest: 1,
  retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
};

/** How long a boot waits, so that the first push does not come too early. */
const LONGEST_CONNECT = 500;

/** Consumers wait: a command timeout would break their blocking reads. */
const CONSUMER: RedisOptions = {
  maxRetriesPerRequest: null,
  connectTimeout: 5_000,
  disconnectTimeout: 500,
  retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
};

/** Whoever wiped or restored the server in between is seen: the epoch is not the expected one any more. */
const WRITE_MARK = `
if ARGV[2] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`;

/** What BullMQ's workers are given: each opens connections of its own. */
export function consumerOptions(url: string): RedisOptions & { url: string } {
  return { url, ...CONSUMER };
}

/** One connection for everything that the process asks Redis, besides what its workers do. */
export class RedisConnection extends QueueConnection {
  readonly producer: Redis;

  private readonly logger = new Logger('Queue');
  private server: Promise<string> | undefined;
  private lastError: Error | undefined;
  private booting = false;
  private inspected = false;

  constructor(
    url: string,
    private readonly prefix: string,
  ) {
    super();
    this.selectBackend();
    this.producer = new Redis(url, PRODUCER);
    this.producer.setMaxListeners(0); // every lane listens
    this.producer.on('error', (error) => {
      if (!isRefusal(error)) this.lastError = error;
      this.outages.failed(this.reasonFor(error));
    });
    this.producer.on('ready', () => void this.onReady());
    this.producer.on('close', () => (this.server = undefined));
  }

  selectBackend(): void {
    setDefaultBackendFactory();
  }

  /** @throws RedisUnfit where the server answers, and is too old */
  async connect(): Promise<void> {
    this.booting = true;
    const connected = await within(LONGEST_CONNECT, this.producer.connect()).then(
      () => true,
      () => false, // told as an 'error' event, and retried
    );
    this.booting = false;
    if (connected) await this.inspect();
  }

  /** Where nothing can be sent, ioredis names the option that says so, not the reason. */
  reasonFor(error: unknown): unknown {
    return isRefusal(error) ? (this.lastError ?? new Error('not connected yet')) : error;
  }

  makeRoom(): void {
    // workers connect on their own
  }

  workerMade(worker: Worker): void {
    const client = worker.getBackend().client as unknown as Promise<SocketOwner>;
    client.then(writeByTurn).catch(() => undefined); // whoever uses it notices
  }

  async ping(): Promise<void> {
    await this.producer.ping();
  }

  async readMark(lane: Lane): Promise<QueueMark | undefined> {
    const [epoch, server] = await Promise.all([this.producer.get(this.markKey(lane)), this.runId()]);
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

  /** Asked once a connection: a server cannot change its run id under an open one. */
  private runId(): Promise<string> {
    if (!this.server) {
      const asked = this.info().then((info) => info['run_id'] ?? '');
      this.server = asked;
      asked.catch(() => {
        if (this.server === asked) this.server = undefined;
      });
    }
    return this.server;
  }

  private async onReady(): Promise<void> {
    this.outages.answered();
    if (this.booting) return;
    await this.inspect().catch((error: unknown) => this.logger.error(error)); // too late to refuse the start
  }

  /** Once a process, not once a connection. @throws RedisUnfit */
  private async inspect(): Promise<void> {
    if (this.inspected) return;
    const info = await this.info().catch(() => undefined); // the connection broke: the next one is asked
    if (!info || this.inspected) return;

    this.inspected = true;
    assertFit(info);
    for (const warning of warningsOf(info)) this.logger.warn(warning);
  }

  /** A managed server may refuse to tell: then it is taken as it is. */
  private async info(): Promise<RedisInfo> {
    const text = await this.producer.info().catch((error: unknown) => {
      if (error instanceof Error && error.name === 'ReplyError') return '';
      throw error;
    });
    const lines = text.split(/\r?\n/).map((line) => line.split(':', 2));
    return Object.fromEntries(lines.map(([name = '', value = '']) => [name, value]));
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.message.includes('enableOfflineQueue');
}
