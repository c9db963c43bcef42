import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { HttpStatus } from '@nestjs/common';
import type { RequestHandler } from 'express';
import { HttpProblem } from './problem.js';

/** Refuses a body that is not declared as JSON, instead of leaving it unread. */
export const requireJson: RequestHandler = (request, _response, next) => {
  if (!carriesBody(request) || request.method === 'GET' || request.method === 'HEAD') return next();
  if (request.is('application/json')) return next();

  next(unsupported('The body must be sent as Content-Type: application/json.'));
};

/** body-parser's `verify`: bytes that are not UTF-8 would be replaced silently, and the data changed. */
export function requireUtf8(_request: unknown, _response: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8') throw unsupported('JSON is sent as UTF-8 (RFC 8259, 8.1).');
  if (!isUtf8(body)) {
    const detail = 'The body is not valid UTF-8.';
    throw new HttpProblem({ status: HttpStatus.BAD_REQUEST, code: 'MALFORMED_JSON', detail });
  }
}

export function carriesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function unsupported(detail: string): HttpProblem {
  return new HttpProblem({
    status: HttpStatus.UNSUPPORTED_MEDIA_TYPE,
    code: 'UNSUPPORTED_MEDIA_TYPE',
    detail,
    headers: { Accept: 'application/json' },
  });
}
