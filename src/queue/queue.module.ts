import { BullModule, BullRegistrar, getQueueToken, Processor } from '@nestjs/bullmq';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import type { Queue, WorkerOptions } from 'bullmq';
import { hostname } from 'node:os';
import type { AppConfig, ServedQueue } from '../config/app-config.js';
import type { RedisServers } from '../config/redis-servers.js';
import { JobQueue, type Lane } from '../jobs/job-queue.js';
import { BullMqJobQueue } from './bullmq-job-queue.js';
import { ConsumerWatchdog } from './consumer-watchdog.js';
import { JobConsumers } from './job-consumers.js';
import { JobsProcessor } from './jobs.processor.js';
import { concurrencyOf, laneName, lanePrefix, lanesOf } from './lanes.js';
import { PostgresConnection } from './postgres-backend.js';
import { type DeliveryCard, QueueConnection } from './queue-connection.js';
import { type ConsumerConnection, consumerConnection, releaseConsumers } from './redis-clients.js';
import { RedisConnection } from './redis-connection.js';
import { RETENTION } from './retention.js';

/** Delivery through BullMQ. A process that only pushes imports `forProducer`, one that runs jobs `forWorker` too. */
@Module({})
export class QueueModule {
  /** Provides JobQueue everywhere, over every shard of these queues. */
  static forProducer(config: AppConfig, queues: string[]): DynamicModule {
    const lanes = lanesOf(queues, config.queue.shards);
    return {
      module: QueueModule,
      global: true,
      imports: [connectionOf(config), queuesFor(config, lanes)],
      providers: [
        {
          provide: JobQueue,
          useFactory: openJobQueue,
          inject: [QueueConnection, ...lanes.map((lane) => getQueueToken(laneName(lane)))],
        },
      ],
      exports: [JobQueue],
    };
  }

  /** Provides JobConsumers to the importing module. RunJobUseCase must be provided globally. */
  static forWorker(config: AppConfig, served: readonly ServedQueue[]): DynamicModule {
    const redis = config.queue.backend === 'redis' ? consumerConnection(serversOf(config.queue)) : undefined;
    const processors = served.flatMap((queue) => processorsFor(config, queue, redis));
    return {
      module: QueueModule,
      imports: [connectionOf(config), queuesFor(config, [])],
      providers: [
        ...processors,
        {
          provide: JobConsumers,
          useFactory: (
            registrar: BullRegistrar,
            connection: QueueConnection,
            queue: JobQueue,
            ...lanes: JobsProcessor[]
          ) =>
            new JobConsumers(registrar, connection, lanes, new ConsumerWatchdog(queue, lanes), () => {
              if (redis) releaseConsumers(redis);
            }),
          inject: [BullRegistrar, QueueConnection, JobQueue, ...processors],
        },
      ],
      exports: [JobConsumers],
    };
  }
}

const connections = new WeakMap<AppConfig, DynamicModule>();

/** The same module for the same configuration: producer and worker in one process share what can be shared. */
function connectionOf(config: AppConfig): DynamicModule {
  const known = connections.get(config) ?? connectionModule(config);
  connections.set(config, known);
  return known;
}

function connectionModule(config: AppConfig): DynamicModule {
  return {
    module: class QueueConnectionModule {},
    global: true,
    imports: [
      BullModule.forRootAsync({
        useFactory: ({ producer }: QueueConnection) => ({ connection: producer }),
        inject: [QueueConnection],
        extraOptions: { manualRegistration: true },
      }),
    ],
    providers: [{ provide: QueueConnection, useFactory: () => openConnection(config) }],
    exports: [QueueConnection],
  };
}

async function openConnection({ database, queue }: AppConfig): Promise<QueueConnection> {
  if (queue.backend === 'postgres') return PostgresConnection.open(database.url);
  return new RedisConnection(serversOf(queue), queue.prefix);
}

function queuesFor(config: AppConfig, lanes: Lane[]): DynamicModule {
  return BullModule.registerQueueAsync(
    ...lanes.map((lane) => ({
      name: laneName(lane),
      useFactory: ({ producer }: QueueConnection) => ({
        connection: producer,
        prefix: lanePrefix(config.queue.prefix, lane),
        defaultJobOptions: RETENTION,
        // The version check and the meta data would need a server that answers while the process starts.
        skipVersionCheck: true,
        skipWaitingForReady: true,
        skipMetasUpdate: true,
      }),
      inject: [QueueConnection],
    })),
  );
}

async function openJobQueue(
  connection: QueueConnection,
  ...queues: Queue<DeliveryCard>[]
): Promise<JobQueue> {
  const jobQueue = new BullMqJobQueue(connection, queues);
  await Promise.all(queues.map((queue) => queue.waitUntilReady())); // on Redis this waits for nothing
  await connection.connect();
  return jobQueue;
}

function processorsFor(
  config: AppConfig,
  { name, concurrency }: ServedQueue,
  connection?: ConsumerConnection,
): Type<JobsProcessor>[] {
  const { shards } = config.queue;
  return lanesOf([name], shards).map((lane) =>
    processorFor(config, lane, concurrencyOf(lane.shard, concurrency, shards), connection),
  );
}

function processorFor(
  { queue }: AppConfig,
  lane: Lane,
  concurrency: number,
  connection?: ConsumerConnection,
): Type<JobsProcessor> {
  const options: Omit<WorkerOptions, 'connection'> = {
    // Given explicitly, else workers inherit the producers' command timeout. The PostgreSQL pool is inherited. On Redis a
    // LaneConsumer takes what they would.
    ...(connection && { connection, autorun: false }),
    prefix: lanePrefix(queue.prefix, lane),
    name: `${hostname()}-${process.pid}`,
    concurrency,
    // Together they only rescue deliveries whose worker died before its claim.
    lockDuration: 10_000,
    stalledInterval: 5_000,
    maxStalledCount: 1e9,
    runRetryDelay: 1_000,
    skipVersionCheck: true,
    removeOnComplete: RETENTION.removeOnComplete,
    removeOnFail: RETENTION.removeOnFail,
  };

  @Processor({ name: laneName(lane) }, options)
  class LaneProcessor extends JobsProcessor {
    override readonly lane = lane;
  }
  return LaneProcessor;
}

function serversOf({ redis }: AppConfig['queue']): RedisServers {
  if (!redis) throw new Error('REDIS_URL is not set');
  return redis;
}
