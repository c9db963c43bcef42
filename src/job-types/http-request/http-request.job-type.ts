import { z } from 'zod';
import { PermanentFailure, RetryableFailure } from '../../jobs/job.errors.js';
import type { Json } from '../../jobs/job.js';
import { OutboundFailure } from '../../outbound/outbound-failure.js';
import { OutboundHttp, type OutboundResponse } from '../../outbound/outbound-http.js';
import { outboundHeaders, outboundUrl } from '../../outbound/request-schemas.js';
import { exponential } from '../backoff.js';
import { JobType, type JobContext, type JobHandler } from '../job-type.js';
import { readBody } from './response-body.js';

const MOST_REDIRECTS = 5;
const LONGEST_EXCERPT = 300;

const data = z
  .strictObject({
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']),
    url: outboundUrl,
    headers: outboundHeaders.optional(),
    body: z.unknown().meta({ description: 'A text is sent as it is, anything else as JSON.' }).optional(),
    expectStatus: z
      .array(z.union([z.int().min(200).max(599), z.enum(['2xx', '3xx', '4xx', '5xx'])]))
      .min(1)
      .max(20)
      .meta({ description: 'Codes or classes; 2xx where nothing is given.' })
      .optional(),
    timeoutMs: z.int().min(1).max(300_000).meta({ description: '30,000 where it is not given.' }).optional(),
    maxResponseBytes: z
      .int()
      .min(1)
      .max(524_288)
      .meta({ description: '262,144 where it is not given; a longer body fails the job.' })
      .optional(),
    followRedirects: z
      .boolean()
      .meta({ description: 'At most 5 are followed, unless this is false.' })
      .optional(),
  })
  .refine(({ method, body }) => body === undefined || (method !== 'GET' && method !== 'HEAD'), {
    path: ['body'],
    message: 'a GET or HEAD has no body',
  });

type Request = z.output<typeof data>;

export interface HttpRequestResult {
  status: number;
  /** Names in lower case; a header that came more than once is joined by commas, `set-cookie` is a list. */
  headers: Record<string, string | string[]>;
  body: Json;
  /** How to read `body`. */
  bodyEncoding: 'json' | 'text' | 'base64';
  /** Where the answer came from, after the redirects. */
  finalUrl: string;
  redirects: number;
}

/** Sends one HTTP request, and keeps the answer. Safe to repeat where the server heeds `Idempotency-Key`. */
@JobType({
  name: 'http_request',
  description: 'Sends one HTTP request to a public address, and keeps the answer.',
  data,
  example: {
    method: 'POST',
    url: 'https://api.example.com/invoices',
    headers: { Authorization: 'Bearer example' },
    body: { customer: 'Ada', cents: 1250 },
    expectStatus: ['2xx', 409],
    timeoutMs: 10_000,
  },
  attempts: 5,
  backoff: exponential('2s'),
  timeout: '6m',
})
export class HttpRequest implements JobHandler<typeof data> {
  constructor(private readonly http: OutboundHttp) {}

  async run(request: Request, context: JobContext): Promise<HttpRequestResult> {
    const { expectStatus = ['2xx'], maxResponseBytes = 262_144 } = request;
    const isExpected = (status: number) =>
      expectStatus.some((one) => one === status || one === classOf(status));
    const started = performance.now();

    const response = await this.send(
      {
        method: request.method,
        url: request.url,
        ...contentOf(request, context.jobId),
        timeout: request.timeoutMs ?? 30_000,
        maxBodyLength: maxResponseBytes,
        maxRedirects: request.followRedirects === false ? 0 : MOST_REDIRECTS,
        isFinal: isExpected,
      },
      context.signal,
    );
    context.log(`${response.status} after ${Math.round(performance.now() - started)} ms`);

    if (!isExpected(response.status)) throw unexpected(response, expectStatus);
    return resultOf(response, maxResponseBytes);
  }

  private async send(...[request, signal]: Parameters<OutboundHttp['send']>): Promise<OutboundResponse> {
    try {
      return await this.http.send(request, signal);
    } catch (error) {
      if (!(error instanceof OutboundFailure)) throw error;
      const Failure = error.final ? PermanentFailure : RetryableFailure;
      throw new Failure(error.message, error.code, { cause: error });
    }
  }
}

/** Headers that the caller sets win over these, however they are spelled. */
function contentOf(
  { headers = {}, body }: Request,
  jobId: string,
): { headers: Record<string, string>; body?: string } {
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const defaults: Record<string, string> = {
    'Idempotency-Key': jobId,
    'User-Agent': 'job-queue-platform',
    'Accept-Encoding': 'identity',
  };
  if (body !== undefined)
    defaults['Content-Type'] = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';

  const added = Object.entries(defaults).filter(([name]) => !given.has(name.toLowerCase()));
  return {
    headers: { ...headers, ...Object.fromEntries(added) },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  };
}

function classOf(status: number): string {
  return `${Math.floor(status / 100)}xx`;
}

/** A server that is down, busy or slow may answer otherwise next time; one that says no will say it again. */
function unexpected(response: OutboundResponse, expected: readonly (number | string)[]): Error {
  const { status } = response;
  const Failure = status >= 500 || status === 429 || status === 408 ? RetryableFailure : PermanentFailure;
  return new Failure(
    `The answer is ${status}, not ${expected.join(' or ')}${excerptOf(response)}`,
    'HTTP_STATUS',
  );
}

function excerptOf({ body, headers }: OutboundResponse): string {
  const read = readBody(body, headers['content-type']);
  if (body.length === 0 || read.encoding === 'base64') return '';

  const text = body.toString();
  if (text.length <= LONGEST_EXCERPT) return `: ${text}`;
  return `: ${text.slice(0, LONGEST_EXCERPT).toWellFormed()}… (the first ${LONGEST_EXCERPT} characters)`;
}

/** @throws PermanentFailure for a longer body: half of it would be another answer, and a repetition another request */
function resultOf(response: OutboundResponse, most: number): HttpRequestResult {
  const { status, complete, finalUrl, redirects } = response;
  if (!complete)
    throw new PermanentFailure(
      `The answer (${status}) has a body of more than ${most} bytes`,
      'RESPONSE_TOO_LARGE',
    );

  const { encoding, body } = readBody(response.body, response.headers['content-type']);
  const headers = Object.entries(response.headers).map(([name, value = '']) => [name, value] as const);
  return { status, headers: Object.fromEntries(headers), body, bodyEncoding: encoding, finalUrl, redirects };
}
