import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { PermanentFailure, RetryableFailure } from '../../jobs/job.errors.js';
import { Destinations } from '../../outbound/destinations.js';
import { OutboundHttp } from '../../outbound/outbound-http.js';
import type { JobContext } from '../job-type.js';
import { JobTypeRegistry } from '../job-type-registry.js';
import { HttpRequest } from './http-request.job-type.js';

const JOB = '0192f3a4-5b6c-7d8e-9f00-112233445566';
const definition = new JobTypeRegistry([HttpRequest]).get('http_request');
const example = { method: 'POST', url: 'https://api.example.com/' };
const stop: (() => void)[] = [];

afterEach(() => stop.splice(0).forEach((step) => step()));

/** A server that answers as told, and a job type that may reach it. */
async function setup(answer: RequestListener) {
  const seen: { method?: string; headers: IncomingMessage['headers']; body: string }[] = [];
  const lines: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ method: request.method, headers: request.headers, body });
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stop.push(() => {
    server.closeAllConnections();
    server.close();
  });

  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const type = new HttpRequest(new OutboundHttp(new Destinations([{ host: '127.0.0.1', port }])));
  const run = (data: object, signal = new AbortController().signal) =>
    type.run(definition.parse({ method: 'GET', url, ...data }) as Parameters<HttpRequest['run']>[0], {
      ...{ jobId: JOB, tenant: 'default', run: 1, attempt: 1, attempts: 5, signal },
      progress: () => undefined,
      log: (line) => void lines.push(line),
    } satisfies JobContext);
  return { run, url, seen, lines };
}

function answering(
  status: number,
  body: string | Buffer = '',
  headers: Record<string, string> = {},
): RequestListener {
  return (_request, response) => void response.writeHead(status, headers).end(body);
}

describe('what it sends', () => {
  it('is JSON, named by the job', async () => {
    const { run, seen } = await setup(answering(200));

    await run({ method: 'POST', body: { to: 'Ada', cents: 1250 } });

    expect(seen).toMatchObject([
      {
        method: 'POST',
        body: '{"to":"Ada","cents":1250}',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': JOB,
          'user-agent': 'job-queue-platform',
          'accept-encoding': 'identity',
        },
      },
    ]);
  });

  it.each<[unknown, string, string | undefined]>([
    ['grün', 'grün', 'text/plain; charset=utf-8'],
    ['', '', 'text/plain; charset=utf-8'],
    [null, 'null', 'application/json'],
    [[1], '[1]', 'application/json'],
    [undefined, '', undefined],
  ])('is for the body %j: %j', async (body, sent, contentType) => {
    const { run, seen } = await setup(answering(200));

    await run({ method: 'POST', body });

    expect(seen[0]?.body).toBe(sent);
    expect(seen[0]?.headers['content-type']).toBe(contentType);
  });

  it('has the headers that the caller sets instead of its own', async () => {
    const { run, seen } = await setup(answering(200));

    const headers = {
      'IDEMPOTENCY-KEY': 'mine',
      'content-type': 'application/xml',
      Authorization: 'Bearer x',
    };
    await run({ method: 'POST', body: '<a/>', headers });

    expect(seen[0]?.headers).toMatchObject({
      'idempotency-key': 'mine',
      'content-type': 'application/xml',
      authorization: 'Bearer x',
    });
  });
});

describe('its result', () => {
  it('is the answer', async () => {
    const { run, url, lines } = await setup(
      answering(200, '{"id":7}', { 'Content-Type': 'application/json', 'X-Trace': 'abc' }),
    );

    expect(await run({ headers: { Authorization: 'Bearer x' } })).toEqual({
      status: 200,
      headers: expect.objectContaining({ 'content-type': 'application/json', 'x-trace': 'abc' }),
      body: { id: 7 },
      bodyEncoding: 'json',
      finalUrl: `${url}/`,
      redirects: 0,
    });
    expect(lines).toEqual([expect.stringMatching(/^200 after \d+ ms$/)]);
  });

  it('is what a redirect leads to, unless that is not wanted', async () => {
    const { run, url } = await setup(({ url }, response) => {
      if (url === '/') response.writeHead(302, { Location: '/there' });
      response.end('there');
    });

    expect(await run({})).toMatchObject({
      status: 200,
      finalUrl: `${url}/there`,
      redirects: 1,
      body: 'there',
    });
    expect(await run({ followRedirects: false, expectStatus: ['3xx'] })).toMatchObject({ status: 302 });
    await expect(run({ followRedirects: false })).rejects.toMatchObject({ code: 'HTTP_STATUS' });
  });

  it.each([[[404]], [['2xx', 404]], [['4xx']], [['5xx', '4xx']]])(
    'is a 404 where one expects %j',
    async (expectStatus) => {
      const { run } = await setup(answering(404, 'nothing here'));

      expect(await run({ expectStatus })).toMatchObject({ status: 404, body: 'nothing here' });
    },
  );

  it('is never a part of a body: a longer one fails for good', async () => {
    const { run } = await setup(answering(200, 'x'.repeat(1_001)));

    expect(await run({ maxResponseBytes: 1_001 })).toMatchObject({ body: 'x'.repeat(1_001) });
    const failure = run({ maxResponseBytes: 1_000 });
    await expect(failure).rejects.toBeInstanceOf(PermanentFailure);
    await expect(failure).rejects.toMatchObject({
      code: 'RESPONSE_TOO_LARGE',
      message: 'The answer (200) has a body of more than 1000 bytes',
    });
  });
});

describe('an answer that is not expected', () => {
  it.each([408, 429, 500, 502, 503, 504, 599])('may be another next time: %i', async (status) => {
    const { run } = await setup(answering(status));

    const failure = run({});

    await expect(failure).rejects.toBeInstanceOf(RetryableFailure);
    await expect(failure).rejects.toMatchObject({
      code: 'HTTP_STATUS',
      message: `The answer is ${status}, not 2xx`,
    });
  });

  it.each([304, 400, 401, 404, 409, 422, 451])('is final: %i', async (status) => {
    const { run } = await setup(answering(status));

    const failure = run({});

    await expect(failure).rejects.toBeInstanceOf(PermanentFailure);
    await expect(failure).rejects.toMatchObject({ code: 'HTTP_STATUS' });
  });

  it('is final where it is a success, but another one', async () => {
    const { run } = await setup(answering(201));

    await expect(run({ expectStatus: [200, 202] })).rejects.toMatchObject({
      message: 'The answer is 201, not 200 or 202',
    });
  });

  it('tells how its body begins', async () => {
    const { run } = await setup(answering(400, `no: ${'x'.repeat(400)}`));

    await expect(run({})).rejects.toMatchObject({
      message: `The answer is 400, not 2xx: no: ${'x'.repeat(296)}… (the first 300 characters)`,
    });
  });

  it('tells nothing of a body that is no text', async () => {
    const { run } = await setup(answering(400, Buffer.from('ff00', 'hex')));

    await expect(run({})).rejects.toMatchObject({ message: 'The answer is 400, not 2xx' });
  });
});

describe('a request without an answer', () => {
  it('fails for good where the address is not permitted', async () => {
    const { run } = await setup(answering(200));

    const failure = run({ url: 'http://169.254.169.254/latest/meta-data/' });

    await expect(failure).rejects.toBeInstanceOf(PermanentFailure);
    await expect(failure).rejects.toMatchObject({ code: 'DESTINATION_REFUSED' });
  });

  it('may have one next time where its time ran out', async () => {
    const { run } = await setup(() => undefined);

    const failure = run({ timeoutMs: 50 });

    await expect(failure).rejects.toBeInstanceOf(RetryableFailure);
    await expect(failure).rejects.toMatchObject({ code: 'HTTP_TIMEOUT' });
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    const reason = new Error('timeout');
    const { run } = await setup(() => controller.abort(reason));

    await expect(run({}, controller.signal)).rejects.toBe(reason);
  });
});

describe('its data', () => {
  it('is stored as it was sent', () => {
    const data = { ...example, headers: { 'X-One': '1' }, body: { __proto__: null, a: [] } };

    expect(definition.check(data)).toBe(data);
    expect(definition.check(definition.example)).toEqual(definition.example);
  });

  it('is described for people, and the type may run as long as its schema allows', () => {
    expect(definition.jsonSchema).toMatchObject({
      required: ['method', 'url'],
      additionalProperties: false,
      properties: {
        headers: { type: 'object', additionalProperties: { type: 'string', sensitive: true } },
        timeoutMs: { maximum: 300_000 },
      },
    });
    expect(definition.defaults.timeout).toBeGreaterThan(300_000);
  });

  it('shows no value of a header to dashboards', () => {
    const headers = {
      AUTHORIZATION: 'Bearer secret',
      cookie: 'secret',
      'X-Api-Key': 'secret',
      'x-shop': 'secret',
    };

    const shown = definition.display({ ...example, headers });

    expect(shown).toEqual({
      ...example,
      headers: { AUTHORIZATION: '***', cookie: '***', 'X-Api-Key': '***', 'x-shop': '***' },
    });
  });

  const withHeader = (name: string, value: unknown = 'x') => ({
    ...example,
    headers: Object.fromEntries([[name, value]]),
  });

  it.each<[string, unknown]>([
    ['data', null],
    ['data.method', { url: example.url }],
    ['data.method', { ...example, method: 'CONNECT' }],
    ['data.method', { ...example, method: 'post' }],
    ['data.url', { method: 'GET' }],
    ['data.url', { ...example, url: 'api.example.com' }],
    ['data.url', { ...example, url: 'ftp://api.example.com/' }],
    ['data.url', { ...example, url: 'file:///etc/passwd' }],
    ['data.url', { ...example, url: 'javascript:alert(1)' }],
    ['data.url', { ...example, url: 'http://[fe80::1%25eth0]/' }],
    ['data.url', { ...example, url: 'https://ada:secret@api.example.com/' }],
    ['data.url', { ...example, url: `https://api.example.com/${'x'.repeat(2_048)}` }],
    ['data.headers', { ...example, headers: [] }],
    ['data.headers', { ...example, headers: null }],
    ['data.headers', { ...example, headers: 'X: 1' }],
    [
      'data.headers',
      { ...example, headers: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`x-${n}`, ''])) },
    ],
    ['data.headers.X-One', withHeader('X-One', 1)],
    ['data.headers.X-One', withHeader('X-One', 'a\r\nB: c')],
    ['data.headers.X-One', withHeader('X-One', 'grün')],
    ['data.headers.X-One', withHeader('X-One', 'x'.repeat(8_193))],
    ['data.headers.X One', withHeader('X One')],
    ['data.headers.', withHeader('')],
    ['data.headers.X:', withHeader('X:')],
    [
      'data.headers.__proto__',
      JSON.parse('{"method":"GET","url":"http://a.b/","headers":{"__proto__":"x"}}'),
    ],
    ['data.headers.HOST', withHeader('HOST')],
    ['data.headers.Content-Length', withHeader('Content-Length', '3')],
    ['data.headers.transfer-encoding', withHeader('transfer-encoding', 'chunked')],
    ['data.headers.Proxy-Authorization', withHeader('Proxy-Authorization')],
    ['data.headers.x-a', { ...example, headers: { 'X-A': '1', 'x-a': '2' } }],
    ['data.body', { ...example, method: 'GET', body: 'x' }],
    ['data.body', { ...example, method: 'HEAD', body: null }],
    ['data.body.id', { ...example, body: { id: 2 ** 60 } }],
    ['data.expectStatus', { ...example, expectStatus: [] }],
    ['data.expectStatus', { ...example, expectStatus: 200 }],
    ['data.expectStatus.0', { ...example, expectStatus: ['1xx'] }],
    ['data.expectStatus.0', { ...example, expectStatus: [100] }],
    ['data.expectStatus.0', { ...example, expectStatus: [600] }],
    ['data.timeoutMs', { ...example, timeoutMs: 0 }],
    ['data.timeoutMs', { ...example, timeoutMs: 300_001 }],
    ['data.maxResponseBytes', { ...example, maxResponseBytes: 0 }],
    ['data.maxResponseBytes', { ...example, maxResponseBytes: 524_289 }],
    ['data.followRedirects', { ...example, followRedirects: 3 }],
    ['data.proxy', { ...example, proxy: 'http://proxy:3128' }],
  ])('is refused with the field named: %s in %j', (path, data) => {
    expect(() => definition.check(data)).toThrow(
      expect.objectContaining({ code: 'VALIDATION_FAILED', errors: [expect.objectContaining({ path })] }),
    );
  });
});
