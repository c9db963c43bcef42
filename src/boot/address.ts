import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AppConfig } from '../config/app-config.js';

/**
 * Where a person on this machine reaches it.
 * @param port the one that is listened on; it differs where PORT=0 leaves the choice to the system
 */
export function addressOf({ http }: AppConfig, port = http.port): string {
  const host = ['0.0.0.0', '::', ''].includes(http.host) ? 'localhost' : http.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The port that the application listens on. */
export function portOf(app: NestExpressApplication): number | undefined {
  const address = app.getHttpServer().address();
  return typeof address === 'object' ? address?.port : undefined;
}
