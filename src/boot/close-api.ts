import type { Server } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';

const INTERVAL = 50;

/**
 * Ends the API: what was asked is answered, and no connection is kept for another request. Left to itself Node ends the
 * connections that are idle when it stops listening, and serves the busy ones for as long as their clients ask.
 */
export async function closeApi(app: NestExpressApplication): Promise<void> {
  const server: Server = app.getHttpServer();
  server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
  const endIdle = setInterval(() => {
    if (!server.listening) server.closeIdleConnections();
  }, INTERVAL);
  try {
    await app.close();
  } finally {
    clearInterval(endIdle);
  }
}
