import { type INestApplicationContext, Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { type ConnectionOptions, Worker } from 'bullmq';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { AppConfig } from '../../src/config/app-config.js';
import { redisServers } from '../../src/config/redis-servers.js';
import { InMemoryJobQueue } from '../../src/jobs/in-memory-job-queue.js';
import { type Delivery, JobQueue, type Lane } from '../../src/jobs/job-queue.js';
import { DeliveryBatches } from '../../src/queue/delivery-batches.js';
import { deliveryId, parseDeliveryId } from '../../src/queue/delivery-id.js';
import { laneName, lanePrefix, lanesOf } from '../../src/queue/lanes.js';
import { migratePostgresBackend } from '../../src/queue/postgres-backend.js';
import { QueueConnection } from '../../src/queue/queue-connection.js';
import { QueueModule } from '../../src/queue/queue.module.js';
import { consumerConnection, releaseConsumers } from '../../src/queue/redis-clients.js';
import { startPostgres } from '../support/postgres.js';
import { type PrivateRedis, startRedis } from '../support/redis.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import { describeJobQueue, LANES, type QueueUnderTest } from './job-queue.contract.js';

const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(() => {
  Logger.overrideLogger(false);
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

describeJobQueue('InMemoryJobQueue', { wipe: true, hang: false }, () => {
  const queue = new InMemoryJobQueue();
  return Promise.resolve({
    queue,
    take: (lane) => Promise.resolve(queue.take(lane)),
    finish: (delivery) => Promise.resolve(queue.finish(delivery)),
    wipe: () => Promise.resolve(queue.wipe()),
    goDown: () => Promise.resolve(queue.goDown()),
    comeBack: () => Promise.resolve(queue.comeBack()),
  });
});

describeJobQueue('BullMqJobQueue on Redis', { wipe: true, hang: true }, async () => {
  const redis = await startRedis({ appendonly: true });
  cleanups.push(() => redis.stop());
  const { queue, take, finish } = await setup({ backend: 'redis', redis: { url: redis.url } });

  return {
    queue,
    take,
    finish,
    wipe: () => redis.flushAll(),
    goDown: () => redis.kill(),
    hang: async () => redis.pause(),
    comeBack: async () => {
      redis.resume();
      await redis.start();
      await answers(queue);
    },
  };
});

describeJobQueue('BullMqJobQueue on a Redis Cluster', { wipe: true, hang: true }, async () => {
  const cluster = await startRedisCluster();
  cleanups.push(() => cluster.stop());
  const all = (act: (node: PrivateRedis) => unknown) => Promise.all(cluster.nodes.map(act));
  const { queue, take, finish } = await setup({ backend: 'redis', redis: redisServers(cluster.url) });

  return {
    queue,
    take,
    finish,
    wipe: async () => void (await all((node) => node.flushAll())),
    goDown: async () => void (await all((node) => node.kill())),
    hang: async () => void (await all((node) => node.pause())),
    comeBack: async () => {
      await all((node) => node.resume());
      await all((node) => node.start());
      await answers(queue);
    },
  };
});

describeJobQueue('BullMqJobQueue on PostgreSQL', { wipe: false, hang: true }, async () => {
  const postgres = await startPostgres();
  cleanups.push(() => postgres.stop());
  await migrate(postgres.url);
  const { queue, take, finish } = await setup({ backend: 'postgres' }, postgres.url);
  let stopped: number[] = [];

  return {
    queue,
    take,
    finish,
    goDown: () => postgres.kill(),
    hang: async () => {
      stopped = [postgres.pid, ...childrenOf(postgres.pid)];
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    },
    comeBack: async () => {
      for (const pid of stopped.splice(0)) process.kill(pid, 'SIGCONT');
      await postgres.start();
      await answers(queue);
    },
  };
});

it('refuses to open a PostgreSQL database without the queue’s tables', async () => {
  const postgres = await startPostgres();
  cleanups.push(() => postgres.stop());

  await expect(setup({ backend: 'postgres' }, postgres.url)).rejects.toThrow('migration:run');
});

/** The real module; a worker is played by hand, so that a test decides when a delivery is taken and finished. */
async function setup(
  queue: Pick<AppConfig['queue'], 'backend' | 'redis'>,
  url = '',
): Promise<Pick<QueueUnderTest, 'queue' | 'take' | 'finish'>> {
  const config = { database: { url }, queue: { ...queue, prefix: 'test', shards: LANES } } as AppConfig;
  const app = await Test.createTestingModule({
    imports: [QueueModule.forProducer(config, ['default'])],
  }).compile();
  cleanups.push(() => app.close());
  const workers = workersOf(app, config);
  const active = new Map<string, () => Promise<unknown>>();
  await answers(app.get(JobQueue));

  return {
    queue: app.get(JobQueue),
    take: async (lane: Lane) => {
      const taken = await workers.get(laneName(lane))?.();
      if (taken) active.set(taken.id, taken.finish);
      return parseDeliveryId(taken?.id);
    },
    finish: async (delivery: Delivery) => {
      const finish = active.get(deliveryId(delivery));
      active.delete(deliveryId(delivery));
      await finish?.();
    },
  };
}

interface TakenByHand {
  id: string;
  finish: () => Promise<unknown>;
}

type TakeByHand = () => Promise<TakenByHand | undefined>;

/** As the platform's own workers take: in scripts where they do, else as BullMQ does. */
function workersOf(app: INestApplicationContext, { queue }: AppConfig): Map<string, TakeByHand> {
  const connection = app.get(QueueConnection);
  connection.makeRoom(LANES);
  const redis = queue.redis && consumerConnection(queue.redis);
  if (redis) cleanups.push(async () => releaseConsumers(redis));
  const workers = lanesOf(['default'], LANES).map((lane) => {
    const worker = new Worker(laneName(lane), null, {
      connection: (redis ?? connection.producer) as ConnectionOptions,
      prefix: lanePrefix(queue.prefix, lane),
      lockDuration: 60_000,
    });
    worker.on('error', () => undefined);
    const consumer = connection.consumerOf(worker, () => Promise.resolve('handed back'));
    cleanups.push(() => worker.close(true));
    return [laneName(lane), consumer ? inBatches(worker) : oneByOne(worker)] as const;
  });
  return new Map(workers);
}

function inBatches(worker: Worker): TakeByHand {
  const batches = new DeliveryBatches(worker);
  const done = { value: '"done"', stack: '' } as const;
  return async () => {
    const { taken } = await batches.endAndTake([], 1);
    const [one] = taken ?? [];
    return one && { id: one.id, finish: () => batches.endAndTake([{ ...one, ...done }], 0) };
  };
}

function oneByOne(worker: Worker): TakeByHand {
  return async () => {
    const job = await worker.getNextJob(randomUUID(), { block: false });
    return job && { id: job.id ?? '', finish: () => job.moveToCompleted('done', job.token ?? '', false) };
  };
}

async function answers(queue: JobQueue): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      return await queue.ping();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

async function migrate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await migratePostgresBackend(client);
  await client.end();
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['--ppid', String(pid), '-o', 'pid='], { encoding: 'utf8' });
  return stdout.split('\n').map(Number).filter(Boolean);
}
