import { createHash, timingSafeEqual } from 'node:crypto';
import { HttpStatus } from '@nestjs/common';
import type { Request, RequestHandler } from 'express';
import { HttpProblem } from '../http/problem.js';

/** Asked by machines, with no key, under any name. */
export const PROBES = new Set(['/health/live', '/health/ready']);

/**
 * Asks every request but the probes for one of the keys, as `Authorization: Bearer`, as `X-API-Key`, or, for pages
 * that a browser opens, as the password of HTTP Basic. Without keys nothing is asked.
 */
export function apiKeyMiddleware(keys: readonly string[]): RequestHandler {
  if (keys.length === 0) return (_request, _response, next) => next();
  const known = keys.map(sha256);

  return (request, _response, next) => {
    if (PROBES.has(request.path)) return next();
    const offered = keysIn(request);
    if (offered.some((key) => isKnown(key, known))) return next();

    next(unauthorized(isPage(request), offered.length > 0));
  };
}

/** Compares with all keys, and digests of one length, so that the time taken tells nothing. */
function isKnown(key: string, known: readonly Buffer[]): boolean {
  const digest = sha256(key);
  return known.map((one) => timingSafeEqual(one, digest)).includes(true);
}

function keysIn(request: Request): string[] {
  const [scheme = '', credentials = ''] = (request.get('authorization') ?? '').split(/ +(.*)/s);
  const keys = [request.get('x-api-key') ?? ''];
  if (/^bearer$/i.test(scheme)) keys.push(credentials);
  if (/^basic$/i.test(scheme) && isPage(request)) keys.push(passwordIn(credentials));
  return keys.filter(Boolean);
}

function passwordIn(credentials: string): string {
  const text = Buffer.from(credentials, 'base64').toString();
  return text.includes(':') ? text.slice(text.indexOf(':') + 1) : '';
}

/**
 * What a person opens in a browser. Browsers send Basic credentials along by themselves, also when another site makes
 * them ask: so they count only where nothing is changed.
 */
function isPage(request: Request): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  return (
    /^\/(?:$|docs|admin\/queues)/.test(request.path) || (request.get('accept') ?? '').includes('text/html')
  );
}

function unauthorized(page: boolean, offered: boolean): HttpProblem {
  const bearer = offered ? 'Bearer realm="jobs", error="invalid_token"' : 'Bearer realm="jobs"';
  return new HttpProblem({
    status: HttpStatus.UNAUTHORIZED,
    code: 'UNAUTHORIZED',
    detail: offered
      ? 'The API key is not known.'
      : 'An API key is needed: Authorization: Bearer <key>, or X-API-Key: <key>.',
    headers: { 'WWW-Authenticate': page ? 'Basic realm="jobs", charset="UTF-8"' : bearer },
  });
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
