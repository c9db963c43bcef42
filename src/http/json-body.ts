import { AsyncResource } from 'node:async_hooks';
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { HttpStatus } from '@nestjs/common';
import { json, type Request, type RequestHandler } from 'express';
import { HttpProblem } from './problem.js';

/** As nearly every client declares its JSON. */
const PLAIN_JSON = /^application\/json(?:; ?charset=utf-8)?$/i;

/** Refuses a body that is not declared as JSON, instead of leaving it unread. */
export const requireJson: RequestHandler = (request, _response, next) => {
  if (!carriesBody(request) || isRead(request) || declaresPlainJson(request)) return next();
  if (request.is('application/json')) return next();

  next(unsupported('The body must be sent as Content-Type: application/json.'));
};

/**
 * Parses the body. A plain one, which is declared with its length and not compressed, needs none of what body-parser
 * brings along for all others.
 * @param limit in bytes
 */
export function parseJson(limit: number): RequestHandler {
  const parseAny = json({ limit, verify: requireUtf8 });

  return (request, response, next) => {
    const length = Number(request.headers['content-length']);
    const plain = length > 0 && length <= limit && request.headers['content-encoding'] === undefined;
    if (!plain || isRead(request) || !declaresPlainJson(request)) return parseAny(request, response, next);

    const chunks: Buffer[] = [];
    // An AsyncLocalStorage does not lose its store here, as with body-parser. AsyncResource.bind() would do, and takes 30 µs.
    const here = new AsyncResource('JsonBody');
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => here.runInAsyncScope(() => next(problemIn(request, together(chunks)))));
  };
}

export function carriesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function declaresPlainJson({ headers }: IncomingMessage): boolean {
  return PLAIN_JSON.test(headers['content-type'] ?? '');
}

function together(chunks: Buffer[]): Buffer {
  const [only, ...more] = chunks;
  return only && more.length === 0 ? only : Buffer.concat(chunks);
}

/** Sets the request's body, or says what is wrong with it. */
function problemIn(request: Request, bytes: Buffer): HttpProblem | undefined {
  if (!isUtf8(bytes)) return malformed('The body is not valid UTF-8.');
  try {
    const body: unknown = JSON.parse(withoutMark(bytes.toString()));
    if (typeof body !== 'object' || body === null)
      return malformed('The body must be a JSON object or a list.');
    request.body = body;
    return undefined;
  } catch (error) {
    return malformed(`The body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** RFC 8259, 8.1: a byte order mark may be ignored. */
function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** body-parser's `verify`: bytes that are not UTF-8 would be replaced silently, and the data changed. */
function requireUtf8(_request: unknown, _response: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8') throw unsupported('JSON is sent as UTF-8 (RFC 8259, 8.1).');
  if (!isUtf8(body)) throw malformed('The body is not valid UTF-8.');
}

function malformed(detail: string): HttpProblem {
  return new HttpProblem({ status: HttpStatus.BAD_REQUEST, code: 'MALFORMED_JSON', detail });
}

function unsupported(detail: string): HttpProblem {
  return new HttpProblem({
    status: HttpStatus.UNSUPPORTED_MEDIA_TYPE,
    code: 'UNSUPPORTED_MEDIA_TYPE',
    detail,
    headers: { Accept: 'application/json' },
  });
}
