import type { Server } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';

const INTERVAL = 50;
/** For so long (ms) a connection that is kept may bring one more request, which is answered as the last. */
const LAST_CALL = 2_000;

/**
 * Ends the API: what was asked is answered, and no connection is kept for another request. Left to itself Node ends the
 * connections that are idle when it stops listening, though a request may be on its way there, and serves the busy ones
 * for as long as their clients ask. Here each is told by `Connection: close` in its next answer.
 */
export async function closeApi(app: NestExpressApplication): Promise<void> {
  const server: Server = app.getHttpServer();
  server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));

  const endIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => undefined;
  const since = performance.now();
  const ending = setInterval(() => {
    if (!server.listening && performance.now() - since > LAST_CALL) endIdle();
  }, INTERVAL);
  try {
    await app.close();
  } finally {
    clearInterval(ending);
  }
}
