import { HttpStatus } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { isIP } from 'node:net';
import { HttpProblem } from '../http/problem.js';
import { PROBES } from './api-key.middleware.js';

/**
 * Where no key is asked for, a page of another site could give its own name this server's address (DNS rebinding), and
 * to the browser both would be one site. Such a page needs a name in public DNS; addresses, `localhost` and names
 * without a dot are none. With keys the page lacks the key, and every name is taken.
 * @param allowed further names, as the browser writes them, without a port
 */
export function allowedHostsMiddleware(keys: readonly string[], allowed: readonly string[]): RequestHandler {
  if (keys.length > 0) return (_request, _response, next) => next();
  const known = new Set(allowed.map((name) => name.toLowerCase()));

  return (request, _response, next) => {
    // Not Express's own reading of it: a rebound page may send X-Forwarded-Host too.
    const name = nameIn(request.headers.host ?? '');
    if (isNoPublicName(name) || known.has(name) || PROBES.has(request.path)) return next();
    next(
      new HttpProblem({
        status: HttpStatus.MISDIRECTED,
        code: 'HOST_NOT_ALLOWED',
        detail: `Without API keys this server answers to no public name such as the one asked for. Set API_KEYS, or name it in ALLOWED_HOSTS.`,
      }),
    );
  };
}

function nameIn(host: string): string {
  const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host) ?? [];
  return name
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

function isNoPublicName(name: string): boolean {
  return isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost');
}
