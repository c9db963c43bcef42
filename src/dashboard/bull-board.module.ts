import type { AppViewRoute } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import { BullBoardModule, type BullBoardQueueOptions } from '@bull-board/nestjs';
import { type DynamicModule, Module } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { AppConfig } from '../config/app-config.js';
import type { Lane } from '../jobs/job-queue.js';
import { parseDeliveryId } from '../queue/delivery-id.js';
import { laneName, lanesOf } from '../queue/lanes.js';
import { LaneAdapter } from './lane-adapter.js';

/** Where the package of its pages is. Told, since what looks for it otherwise does so by `eval`, which no bundle survives. */
const uiBasePath = dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json'));

/** Bull Board over every lane, for looking only: what changes a job goes through the API. */
@Module({})
export class BullBoard {
  /**
   * Mounts it at `/admin/queues`. The lanes' queues must be registered (QueueModule.forProducer). Nest's guards do not
   * reach it: the key is asked for by the middleware that stands before everything.
   */
  static forLanes(config: AppConfig, queues: string[]): DynamicModule {
    const { shards } = config.queue;
    const api = config.http.apiPublicUrl ?? '';
    return {
      module: BullBoard,
      imports: [
        BullBoardModule.forRoot({
          route: '/admin/queues',
          adapter: QuietExpressAdapter,
          middleware: lookOnly,
          boardOptions: { uiBasePath, uiConfig: { boardTitle: 'Jobs', hideDocsLink: true } },
        }),
        BullBoardModule.forFeature(...lanesOf(queues, shards).map((lane) => listing(lane, shards, api))),
      ],
    };
  }
}

/**
 * An Express application of its own, which would name itself in every answer, and whose page asks a font service on the
 * internet for a typeface. The policy in http-edge.ts keeps the browser from it, which every visitor's console then tells
 * as an error; so the page does not ask. It is changed where it is rendered, since its template names the hashed files of
 * the installed version, and a copy of it would not.
 */
class QuietExpressAdapter extends ExpressAdapter {
  constructor() {
    super();
    this.app.disable('x-powered-by');
  }

  override setEntryRoute(entry: AppViewRoute): this {
    this.app[entry.method](entry.route, (_request, response, next) => {
      const { name, params } = entry.handler({ basePath: this.basePath, uiConfig: this.uiConfig });
      this.app.render(name, params, (error: Error | null, page: string) => {
        if (error) next(error);
        else response.send(withoutForeignLinks(page));
      });
    });
    return this;
  }
}

/** The page without the `<link>`s that lead to another host. */
function withoutForeignLinks(page: string): string {
  return page.replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/g, '');
}

function listing(lane: Lane, shards: number, api: string): BullBoardQueueOptions {
  return {
    name: laneName(lane),
    adapter: LaneAdapter,
    options: {
      readOnlyMode: true,
      allowRetries: false,
      displayName: shards === 1 ? lane.queue : `${lane.queue} / shard ${lane.shard}`,
      description: `Deliveries of the queue "${lane.queue}"; the record of each job is in the API`,
      externalJobUrl: ({ id }) => recordOf(api, String(id)),
    },
  };
}

function recordOf(api: string, deliveryId: string): { displayText: string; href: string } {
  const jobId = parseDeliveryId(deliveryId)?.jobId ?? deliveryId;
  return { displayText: 'Record', href: `${api}/jobs/${encodeURIComponent(jobId)}` };
}

/** Bull Board refuses to change a queue that is read-only; this also holds for what later versions may add. */
const lookOnly: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else response.status(405).set('Allow', 'GET, HEAD').end();
};
