import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isNativeError } from 'node:util/types';
import type { Destinations } from './destinations.js';
import { OutboundFailure } from './outbound-failure.js';

export interface OutboundRequest {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** ms for all of it: names, connections, redirects and the body. */
  timeout: number;
  /** Bytes of the body that are read. */
  maxBodyLength: number;
  /** How many redirects are followed before the request fails. */
  maxRedirects: number;
  /** Answers that are not followed although they redirect. */
  isFinal?: (status: number) => boolean;
}

export interface OutboundResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** As it came, at most `maxBodyLength` bytes of it. */
  body: Buffer;
  /** Whether that is all of it. */
  complete: boolean;
  finalUrl: string;
  redirects: number;
}

/** Redirects after which a GET follows, as the Fetch standard has it: after 303 always, after these where it was a POST. */
const POST_BECOMES_GET = [301, 302];
const REDIRECTS = [...POST_BECOMES_GET, 303, 307, 308];

/** What another origin may see of the headers: anything else may be a secret that was meant for the first. */
const HARMLESS = /^(?:accept(?:-.+)?|content-.+|user-agent|idempotency-key)$/i;

/**
 * Requests to servers that users name. Bounded in time and size; connects to permitted addresses alone, after every
 * redirect too; knows no proxy, keeps no cookie and no connection.
 */
export class OutboundHttp {
  constructor(private readonly destinations: Destinations) {}

  /** @throws OutboundFailure, or the signal's reason once it is aborted */
  async send(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    signal.throwIfAborted();
    const end = new AbortController();
    const abort = () => end.abort();
    const timer = setTimeout(abort, request.timeout);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.follow(request, end.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof OutboundFailure) throw error;
      if (end.signal.aborted)
        throw new OutboundFailure('HTTP_TIMEOUT', `No whole answer within ${request.timeout} ms`, false);
      throw new OutboundFailure('CONNECTION_FAILED', reasonOf(error), false, { cause: error });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  private async follow(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    let current = request;
    for (let redirects = 0; ; redirects++) {
      const url = new URL(current.url);
      const response = await this.exchange(url, current, signal);
      const status = response.statusCode ?? 0;
      const target = request.maxRedirects > 0 && !request.isFinal?.(status) && targetOf(response, url);
      if (!target) {
        const { headers } = response;
        const read = await bodyOf(response, request.maxBodyLength);
        return { status, headers, ...read, finalUrl: url.href, redirects };
      }

      response.destroy();
      if (redirects >= request.maxRedirects)
        throw new OutboundFailure('TOO_MANY_REDIRECTS', `More than ${redirects} redirects`, true);
      current = redirected(current, status, url, target);
    }
  }

  /** Every request has a connection of its own, so that none is taken over that was made for another URL. */
  private async exchange(
    url: URL,
    { method, headers, body }: OutboundRequest,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    this.destinations.check(url);
    const start = url.protocol === 'https:' ? https.request : http.request;
    // Node.js adds a length for some methods only, and a body without one reads as the next request.
    const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const lookup = this.destinations.lookup(url);

    return new Promise((resolve, reject) => {
      start(url, { method, headers: { ...headers, ...length }, agent: false, lookup, signal })
        .on('response', resolve)
        .on('error', reject)
        // An answer that nobody asked for (101) ends the request without a word.
        .on('close', () => reject(new Error('the connection ended without an answer')))
        .end(body);
    });
  }
}

/** @returns undefined where there is nothing to follow */
function targetOf({ statusCode = 0, headers }: IncomingMessage, base: URL): URL | undefined {
  if (!REDIRECTS.includes(statusCode) || headers.location === undefined) return undefined;
  if (URL.canParse(headers.location, base.href)) return new URL(headers.location, base);
  throw new OutboundFailure('DESTINATION_REFUSED', 'Refused: the answer redirects to what is no URL', true);
}

function redirected(request: OutboundRequest, status: number, from: URL, to: URL): OutboundRequest {
  const { method } = request;
  const toGet =
    (status === 303 && method !== 'HEAD') || (POST_BECOMES_GET.includes(status) && method === 'POST');
  const headers = Object.entries(request.headers).filter(
    ([name]) => (from.origin === to.origin || HARMLESS.test(name)) && !(toGet && /^content-/i.test(name)),
  );
  return {
    ...request,
    ...(toGet && { method: 'GET', body: undefined }),
    url: to.href,
    headers: Object.fromEntries(headers),
  };
}

/** Stops reading at the bound, and lets the connection go. */
async function bodyOf(
  response: IncomingMessage,
  most: number,
): Promise<Pick<OutboundResponse, 'body' | 'complete'>> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) break;
  }
  return { body: Buffer.concat(chunks).subarray(0, most), complete: length <= most };
}

/** An attempt on several addresses fails with an error that has no message of its own. */
function reasonOf(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.map(reasonOf).join('; ');
  return error.message;
}
