import type { Server } from 'node:http';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { allowedHostsMiddleware } from '../auth/allowed-hosts.middleware.js';
import { apiKeyMiddleware } from '../auth/api-key.middleware.js';
import type { AppConfig } from '../config/app-config.js';
import { refuseWrongMethods } from './allowed-methods.js';
import { answerBrokenRequests } from './broken-request.js';
import { parseJson, requireJson } from './json-body.js';
import { LoadShedding } from './load-shedding.js';
import { ProblemFilter } from './problem.filter.js';

/**
 * All that stands before the routes, in its order: headers, CORS, the name asked for, the key, the method, the body.
 * The module must have SheddingModule.
 * Call it right after `NestFactory.create(…, { bodyParser: false })`, before Swagger or Bull Board is mounted.
 */
export function configureHttp(app: NestExpressApplication, { http }: AppConfig): void {
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', http.trustProxy);

  app.use(helmet(securityHeaders(http.apiPublicUrl)));
  allowOrigins(app, http.corsOrigins);
  app.use(noIcon);
  app.use(allowedHostsMiddleware(http.apiKeys, http.allowedHosts), apiKeyMiddleware(http.apiKeys));
  app.use(refuseWrongMethods(), requireJson, app.get(LoadShedding, { strict: false }).middleware);
  app.use(parseJson(http.bodyLimit));
  app.useGlobalFilters(new ProblemFilter());

  const server: Server = app.getHttpServer();
  answerBrokenRequests(server);
  // Longer than a load balancer keeps an idle connection, so that it never writes into one that closes.
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 70_000;
  server.requestTimeout = 120_000;
}

/** A browser asks for it at every address that it opens, with no key at hand, and would tell a refusal as an error. */
const noIcon: RequestHandler = (request, response, next) => {
  if (request.path !== '/favicon.ico' || !['GET', 'HEAD'].includes(request.method)) return next();
  response.status(204).set('Cache-Control', 'public, max-age=86400').end();
};

/**
 * Scripts come from here alone. Swagger UI and Bull Board both need inline styles; Bull Board's web font is left out
 * (nothing is fetched from other hosts, and it would hold up the page where there is no internet).
 * Nothing here may take plain http for https: no HSTS, no upgrade, and not the headers that browsers ignore there.
 */
function securityHeaders(api?: string): Parameters<typeof helmet>[0] {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        connectSrc: ["'self'", ...(api ? [new URL(api).origin] : [])],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xPoweredBy: false,
  };
}

const EXPOSED_HEADERS = [
  'Idempotency-Replayed',
  'Location',
  'Retry-After',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
];

/** A page of another origin may neither read answers nor, where no key keeps it out, change anything. */
function allowOrigins(app: NestExpressApplication, origins: readonly string[]): void {
  const any = origins.includes('*');
  if (origins.length > 0) {
    app.enableCors({ origin: any ? '*' : [...origins], exposedHeaders: EXPOSED_HEADERS, maxAge: 600 });
  }
  if (!any) app.enableCsrfProtection({ trustedOrigins: [...origins] });
}
