import type { WorkerOptions } from 'bullmq';
import type { AppConfig } from '../config/app-config.js';
import { JobsProcessor } from './jobs.processor.js';
import { QueueModule } from './queue.module.js';

/** What BullMQ's workers of each lane are given. */
function workersOf(shards: number): WorkerOptions[] {
  const queue = { backend: 'redis', redis: { url: 'redis://nowhere' }, prefix: 'test', shards };
  const { providers = [] } = QueueModule.forWorker({ queue } as AppConfig, [
    { name: 'default', concurrency: 4 },
  ]);
  return providers
    .filter((provider) => typeof provider === 'function' && provider.prototype instanceof JobsProcessor)
    .map((processor) => Reflect.getMetadata('bullmq:worker_metadata', processor) as WorkerOptions);
}

it('makes a worker a lane, and divides the concurrency among them', () => {
  expect(workersOf(2)).toMatchObject([{ concurrency: 2 }, { concurrency: 2 }]);
});

it('lets BullMQ only rescue a delivery whose worker died, soon and however often', () => {
  expect(workersOf(1)).toMatchObject([
    { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 1e9, runRetryDelay: 1_000 },
  ]);
});

it('keeps so many finished deliveries, and no more', () => {
  expect(workersOf(1)).toMatchObject([
    { removeOnComplete: { count: 1_000 }, removeOnFail: { count: 1_000 } },
  ]);
});

it('gives workers a connection of their own, without the time limit of commands', () => {
  expect(workersOf(1)).toMatchObject([{ connection: { maxRetriesPerRequest: null } }]);
  expect(workersOf(1)[0]!.connection).not.toHaveProperty('commandTimeout');
});
