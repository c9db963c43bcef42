import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AllowedDestination } from '../config/app-config.js';
import { Destinations } from './destinations.js';
import { OutboundHttp, type OutboundRequest } from './outbound-http.js';

const never = new AbortController().signal;
const refusal = { code: 'DESTINATION_REFUSED', final: true };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  jest.restoreAllMocks();
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Seen {
  method?: string;
  url?: string;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A server on this machine. @returns where it is, and what it was asked */
async function startServer(answer: RequestListener, host = '127.0.0.1', port = 0) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void text(request)
      .catch(() => '')
      .then((body) => {
        seen.push({ method: request.method, url: request.url, headers: request.headers, body });
        answer(request, response);
      });
  });
  return { ...(await listening(server, host, port)), server, seen };
}

async function listening(server: Server | net.Server, host = '127.0.0.1', port = 0) {
  server.listen(port, host);
  await once(server, 'listening');
  cleanups.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  const address = server.address() as AddressInfo;
  return { url: `http://${host}:${address.port}`, port: address.port };
}

/** When the first connection is over, however it ends. */
function connectionEnds(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.once('connection', (socket) => socket.once('close', () => resolve()));
  });
}

function outbound(...allowed: AllowedDestination[]) {
  const http = new OutboundHttp(new Destinations(allowed));
  return (url: string, given: Partial<OutboundRequest> = {}, signal: AbortSignal = never) =>
    http.send(
      { method: 'GET', url, headers: {}, timeout: 10_000, maxBodyLength: 1_000, maxRedirects: 5, ...given },
      signal,
    );
}

const toLoopback = { host: '127.0.0.0', prefix: 8 };

it('sends what it is told, and hands back the answer', async () => {
  const { url, seen } = await startServer((_request, response) =>
    response.writeHead(201, { 'X-Trace': '7', 'Set-Cookie': ['a=1', 'b=2'] }).end('made'),
  );

  const answer = await outbound(toLoopback)(`${url}/things?a=b`, {
    method: 'PUT',
    headers: { 'X-One': '1' },
    body: 'grün',
  });

  expect(answer).toMatchObject({ status: 201, complete: true, finalUrl: `${url}/things?a=b`, redirects: 0 });
  expect(answer.headers).toMatchObject({ 'x-trace': '7', 'set-cookie': ['a=1', 'b=2'] });
  expect(answer.body.toString()).toBe('made');
  expect(seen).toMatchObject([
    { method: 'PUT', url: '/things?a=b', body: 'grün', headers: { 'x-one': '1' } },
  ]);
});

it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('tells the length of the body of a %s', async (method) => {
  const { url, seen } = await startServer((_request, response) => response.end());

  await outbound(toLoopback)(url, { method, body: 'ü' });

  expect(seen).toMatchObject([{ method, body: 'ü', headers: { 'content-length': '2' } }]);
});

describe('an address that is not permitted', () => {
  it('is not connected to', async () => {
    const { url, server } = await startServer((_request, response) => response.end());
    const connected = jest.fn();
    server.on('connection', connected);

    await expect(outbound()(url)).rejects.toMatchObject(refusal);
    await expect(outbound()(url.replace('127.0.0.1', '0x7f.1'))).rejects.toMatchObject(refusal);
    await expect(outbound()(url.replace('127.0.0.1', 'localhost'))).rejects.toMatchObject(refusal);
    await expect(outbound()(url.replace('127.0.0.1', '[::ffff:127.0.0.1]'))).rejects.toMatchObject(refusal);
    expect(connected).not.toHaveBeenCalled();
  });

  it('is not connected to by a redirect either', async () => {
    const hidden = await startServer((_request, response) => response.end('secret'));
    const targets = [
      hidden.url,
      hidden.url.replace('127.0.0.1', 'localhost'),
      hidden.url.replace('127.0.0.1', '2130706433'),
      hidden.url.replace('http:', ''),
      hidden.url.replace('http://', 'http://user:password@'),
      'file:///etc/passwd',
      'http://[fe80::1%25lo]/',
    ];
    const { url, port } = await startServer(({ url = '' }, response) =>
      response.writeHead(302, { Location: targets[Number(url.slice(1))] }).end(),
    );
    const send = outbound({ host: '127.0.0.1', port });

    for (const index of targets.keys()) await expect(send(`${url}/${index}`)).rejects.toMatchObject(refusal);
    expect(hidden.seen).toEqual([]);
  });

  it('is refused though the name had another one before', async () => {
    const first = await startServer((_request, response) => response.end('first'), '127.0.0.2');
    const second = await startServer((_request, response) => response.end('second'), '127.0.0.1', first.port);
    const lookup = jest.spyOn(dns, 'lookup');
    const answers = ['127.0.0.2', '127.0.0.1'];
    lookup.mockImplementation(((_name: string, _options: object, done: (...answer: unknown[]) => void) =>
      done(null, [{ address: answers.shift(), family: 4 }])) as never);
    const send = outbound({ host: '127.0.0.2' });

    const answer = await send(`http://rebinding.example:${first.port}/`);

    expect(answer.body.toString()).toBe('first');
    expect(lookup).toHaveBeenCalledTimes(1); // the address that was judged is the one that was connected to
    await expect(send(`http://rebinding.example:${first.port}/`)).rejects.toMatchObject(refusal);
    expect(second.seen).toEqual([]);
  });
});

describe('redirects', () => {
  /** Answers `/<status>` with this status, to `/end`. */
  const redirecting: RequestListener = ({ url = '' }, response) => {
    const status = Number(url.slice(1));
    if (status) response.writeHead(status, { Location: '/end' });
    response.end('done');
  };

  it.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [302, 'PUT', 'PUT', 'body'],
    [307, 'POST', 'POST', 'body'],
    [308, 'POST', 'POST', 'body'],
  ])('after %i a %s goes on as a %s', async (status, method, next, body) => {
    const { url, seen } = await startServer(redirecting);

    const headers = { 'Content-Type': 'text/plain', 'X-One': '1' };
    const answer = await outbound(toLoopback)(`${url}/${status}`, { method, headers, body: 'body' });

    expect(answer).toMatchObject({ status: 200, finalUrl: `${url}/end`, redirects: 1 });
    expect(seen[1]).toMatchObject({ method: next, url: '/end', body, headers: { 'x-one': '1' } });
    expect(seen[1]?.headers['content-type']).toBe(body ? 'text/plain' : undefined);
  });

  it('are not followed where that is not wanted, nor where they are the answer that is wanted', async () => {
    const { url } = await startServer(redirecting);
    const send = outbound(toLoopback);

    expect(await send(`${url}/302`, { maxRedirects: 0 })).toMatchObject({ status: 302, redirects: 0 });
    expect(await send(`${url}/302`, { isFinal: (status) => status === 302 })).toMatchObject({ status: 302 });
    expect(await send(`${url}/304`)).toMatchObject({ status: 304 });
  });

  it('end the request when they do not end', async () => {
    const { url, seen } = await startServer((_request, response) =>
      response.writeHead(302, { Location: '/again' }).end(),
    );

    await expect(outbound(toLoopback)(url)).rejects.toMatchObject({
      code: 'TOO_MANY_REDIRECTS',
      final: true,
    });
    expect(seen).toHaveLength(6);
  });

  it('take no secret to another origin, and all headers to the same', async () => {
    const other = await startServer((_request, response) => response.end());
    const { url, seen } = await startServer(({ url = '' }, response) => {
      if (url === '/other') response.writeHead(307, { Location: other.url });
      if (url === '/same') response.writeHead(307, { Location: '/end' });
      response.end();
    });
    const headers = {
      Authorization: 'Bearer secret',
      COOKIE: 'id=secret',
      'X-Api-Key': 'secret',
      'Content-Type': 'text/plain',
      Accept: '*/*',
      'Idempotency-Key': 'job',
    };
    const send = outbound(toLoopback);

    await send(`${url}/other`, { method: 'POST', headers, body: 'x' });
    await send(`${url}/same`, { method: 'POST', headers, body: 'x' });

    expect(Object.keys(other.seen[0]?.headers ?? {}).sort()).toEqual(
      ['accept', 'connection', 'content-length', 'content-type', 'host', 'idempotency-key'].sort(),
    );
    expect(seen[2]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      cookie: 'id=secret',
      'x-api-key': 'secret',
    });
  });
});

describe('bounds', () => {
  it('reads no more of a body than it is told to, and lets the server go', async () => {
    const { url, server } = await startServer((_request, response) => {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
      };
      write();
      response.on('drain', write);
    });
    const gone = connectionEnds(server);

    const answer = await outbound(toLoopback)(url);

    expect(answer.body).toHaveLength(1_000);
    expect(answer.complete).toBe(false);
    await gone;
  });

  it.each([
    [999, true],
    [1_000, true],
    [1_001, false],
  ])('tells of a body of %i bytes whether that is all: %s', async (length, complete) => {
    const { url } = await startServer((_request, response) => response.end('x'.repeat(length)));

    expect(await outbound(toLoopback)(url)).toMatchObject({ complete });
  });

  it('does not unpack: a bomb stays as small as it came', async () => {
    const packed = Buffer.from('1f8b08000000000000', 'hex');
    const { url } = await startServer((_request, response) =>
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(packed),
    );

    expect((await outbound(toLoopback)(url)).body).toEqual(packed);
  });

  it.each<[string, RequestListener]>([
    ['does not answer', () => undefined],
    ['stops amid the body', (_request, response) => void response.write('x')],
    [
      'drips',
      (_request, response) => {
        const timer = setInterval(() => response.write('x'), 10);
        response.on('close', () => clearInterval(timer));
      },
    ],
    ['redirects for ever', (_request, response) => void response.writeHead(302, { Location: '/' }).end()],
  ])('gives up at its time a server that %s', async (_what, answer) => {
    const { url } = await startServer(answer);

    const sent = outbound(toLoopback)(url, { timeout: 150, maxRedirects: 1_000_000 });

    await expect(sent).rejects.toMatchObject({ code: 'HTTP_TIMEOUT', final: false });
  });

  it('ends with the reason of its signal, and lets the server go', async () => {
    const controller = new AbortController();
    const reason = new Error('shutdown');
    const { url, server, seen } = await startServer((_request, response) => {
      response.write('x', () => controller.abort(reason));
    });
    const gone = connectionEnds(server);

    await expect(outbound(toLoopback)(url, {}, controller.signal)).rejects.toBe(reason);
    await gone;
    await expect(outbound(toLoopback)(url, {}, controller.signal)).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
  });
});

describe('a server that fails', () => {
  const failed = { code: 'CONNECTION_FAILED', final: false };

  it('may do better another time: not there', async () => {
    await expect(outbound(toLoopback)('http://127.0.0.1:1/')).rejects.toMatchObject({
      ...failed,
      message: 'connect ECONNREFUSED 127.0.0.1:1',
    });
    await expect(outbound({ host: 'localhost' })('http://localhost:1/')).rejects.toMatchObject({
      ...failed,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('may do better another time: without TLS where it is asked for', async () => {
    const { url, seen } = await startServer((_request, response) => response.end());

    await expect(outbound(toLoopback)(url.replace('http:', 'https:'))).rejects.toMatchObject(failed);
    expect(seen).toEqual([]);
  });

  it('may do better another time: a name that nobody knows', async () => {
    jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((_n: string, _o: object, done: (e: Error) => void) =>
        done(new Error('getaddrinfo ENOTFOUND'))) as never);

    await expect(outbound()('http://nobody.example/')).rejects.toMatchObject(failed);
  });

  it('may do better another time: gone amid the body', async () => {
    const { url } = await startServer((_request, response) => {
      response.writeHead(200, { 'Content-Length': 10 });
      response.write('x', () => response.destroy());
    });

    await expect(outbound(toLoopback)(url)).rejects.toMatchObject(failed);
  });

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['endless headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['nothing', ''],
  ])('may do better another time: it answers %s', async (_what, answer) => {
    const { url } = await listening(
      net.createServer((socket) => socket.on('error', () => undefined).end(answer)),
    );

    await expect(outbound(toLoopback)(url)).rejects.toMatchObject(failed);
  });
});
