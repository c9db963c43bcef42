import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { BullBoardModule, type BullBoardQueueOptions } from '@bull-board/nestjs';
import { type DynamicModule, Module } from '@nestjs/common';
import type { RequestHandler } from 'express';
import type { AppConfig } from '../config/app-config.js';
import type { Lane } from '../jobs/job-queue.js';
import { parseDeliveryId } from '../queue/delivery-id.js';
import { laneName, lanesOf } from '../queue/lanes.js';

/** Bull Board over every lane, for looking only: what changes a job goes through the API. */
@Module({})
export class BullBoard {
  /**
   * Mounts it at `/admin/queues`. The lanes' queues must be registered (QueueModule.forProducer).
   * @param guard stands before the board: Nest's guards do not reach it
   */
  static forLanes(config: AppConfig, queues: string[], guard: RequestHandler = letPass): DynamicModule {
    const { shards } = config.queue;
    return {
      module: BullBoard,
      imports: [
        BullBoardModule.forRoot({
          route: '/admin/queues',
          adapter: ExpressAdapter,
          middleware: [guard, lookOnly],
          boardOptions: { uiConfig: { boardTitle: 'Jobs', hideDocsLink: true } },
        }),
        BullBoardModule.forFeature(...lanesOf(queues, shards).map((lane) => listing(lane, shards))),
      ],
    };
  }
}

function listing(lane: Lane, shards: number): BullBoardQueueOptions {
  return {
    name: laneName(lane),
    adapter: BullMQAdapter,
    options: {
      readOnlyMode: true,
      allowRetries: false,
      displayName: shards === 1 ? lane.queue : `${lane.queue} / shard ${lane.shard}`,
      description: `Deliveries of the queue "${lane.queue}"; the record of each job is in the API`,
      externalJobUrl: ({ id }) => recordOf(String(id)),
    },
  };
}

function recordOf(deliveryId: string): { displayText: string; href: string } {
  const jobId = parseDeliveryId(deliveryId)?.jobId ?? deliveryId;
  return { displayText: 'Record', href: `/jobs/${encodeURIComponent(jobId)}` };
}

/** Bull Board refuses to change a queue that is read-only; this also holds for what later versions may add. */
const lookOnly: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else response.status(405).set('Allow', 'GET, HEAD').end();
};

const letPass: RequestHandler = (_request, _response, next) => next();
