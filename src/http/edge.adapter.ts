import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';

/** What Express gives to each request and answer as its prototype; its types leave them out. */
interface Prototypes {
  request: IncomingMessage;
  response: ServerResponse;
}

/**
 * Express under Nest, over plain http. Express gives every request and every answer another prototype, after which
 * nothing that V8 has learned of such objects holds: it takes longer than all else that Node does for a request. Here
 * they are made with that prototype, and Express finds nothing to change.
 */
export class EdgeAdapter extends ExpressAdapter {
  override initHttpServer({
    httpsOptions,
    forceCloseConnections,
    return503OnClosing,
  }: NestApplicationOptions): void {
    if (httpsOptions || forceCloseConnections || return503OnClosing)
      throw new Error('this adapter makes a plain server: httpsOptions and the like are not supported');
    const express: Prototypes & Parameters<typeof createServer>[1] = this.getInstance();
    class EdgeRequest extends IncomingMessage {}
    class EdgeResponse extends ServerResponse {}

    Object.setPrototypeOf(EdgeRequest.prototype, express.request);
    Object.setPrototypeOf(EdgeResponse.prototype, express.response);
    express.request = EdgeRequest.prototype;
    express.response = EdgeResponse.prototype;
    this.httpServer = createServer({ IncomingMessage: EdgeRequest, ServerResponse: EdgeResponse }, express);
  }
}
