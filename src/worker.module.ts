import { Module, type DynamicModule } from '@nestjs/common';
import type { AppConfig, ServedQueue } from './config/app-config.js';
import { ConfigError } from './config/config-error.js';
import { JobTypesModule, typesIn } from './job-types/job-types.module.js';
import { Sandbox } from './job-types/sandbox.js';
import { Heartbeat } from './jobs/delivery/heartbeat.js';
import { RunJobsModule } from './jobs/run-jobs.module.js';
import { Consumers } from './jobs/running/worker-lifecycle.js';
import { WorkerIdentity } from './jobs/worker-identity.js';
import { ThreadHeartbeat } from './persistence/thread-heartbeat.js';
import type { Platform } from './platform.js';
import { JobConsumers } from './queue/job-consumers.js';
import { QueueModule } from './queue/queue.module.js';
import { ThreadSandbox } from './sandbox/thread-sandbox.js';

/** Processors, handlers, heartbeat and reaper. No API routes. */
@Module({})
export class WorkerModule {
  /** @param shared the process's one PlatformModule */
  static register({ config, features, queues }: Platform, shared: DynamicModule): DynamicModule {
    const served = servedQueues(config, queues);
    const names = new Set(served.map(({ name }) => name));
    const types = typesIn(features).filter(({ queue }) => names.has(queue));
    return {
      module: WorkerModule,
      global: true,
      imports: [
        shared,
        QueueModule.forWorker(config, served),
        JobTypesModule.handlers(features, (queue) => names.has(queue), 'main loop'),
        RunJobsModule,
      ],
      providers: [
        {
          provide: WorkerIdentity,
          useValue: new WorkerIdentity(
            served,
            types.map(({ name }) => name),
          ),
        },
        { provide: Heartbeat, useClass: ThreadHeartbeat },
        { provide: Consumers, useExisting: JobConsumers },
        { provide: Sandbox, useClass: ThreadSandbox },
      ],
      exports: [WorkerIdentity, Heartbeat, Consumers, Sandbox],
    };
  }
}

/** @throws ConfigError for a queue that no job type uses: nothing would ever arrive there */
function servedQueues({ worker }: AppConfig, queues: readonly string[]): readonly ServedQueue[] {
  if (worker.queues.length === 0) return queues.map((name) => ({ name, concurrency: worker.concurrency }));

  const unknown = worker.queues.find(({ name }) => !queues.includes(name));
  if (unknown) {
    const problem = `names the queue "${unknown.name}", which no job type uses; known: ${queues.join(', ')}`;
    throw new ConfigError(new Map([['WORKER_QUEUES', problem]]));
  }
  return worker.queues;
}
