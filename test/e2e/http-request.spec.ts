import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';

const SECRET = 'Bearer very-secret';

/** A server on this machine, which answers as it is told. */
interface Target {
  server: Server;
  url: string;
  seen: { url?: string; headers: IncomingMessage['headers']; body: string }[];
}

describe('http_request, with Redis, an API and a worker', () => {
  let platform: TestPlatform;
  let allowed: Target;
  let hidden: Target;
  let proxy: Target;

  beforeAll(async () => {
    let refusals = 1;
    hidden = await startTarget((_request, response) => response.end('secret'));
    proxy = await startTarget((_request, response) => response.end('from the proxy'));
    allowed = await startTarget(({ url }, response) => {
      if (url === '/hang') return;
      if (url === '/missing') response.statusCode = 404;
      if (url === '/busy' && refusals-- > 0) response.statusCode = 503;
      if (url === '/away') response.writeHead(302, { Location: hidden.url });
      else response.setHeader('Content-Type', 'application/json');
      response.end('{"answer":42}');
    });
    platform = await startPlatform({
      env: {
        HTTP_REQUEST_ALLOW: new URL(allowed.url).host,
        http_proxy: proxy.url,
        HTTP_PROXY: proxy.url,
        NODE_USE_ENV_PROXY: '1',
      },
    });
  });
  afterAll(async () => {
    await platform?.stop();
    for (const target of [allowed, hidden, proxy]) {
      target?.server.closeAllConnections();
      target?.server.close();
    }
  });

  function submit(path: string, change: object = {}, options: object = {}): Promise<JobView> {
    const data = { method: 'GET', url: `${allowed.url}${path}`, ...change };
    return platform.submit('http_request', data, { backoff: { kind: 'fixed', delay: 50 }, ...options });
  }

  /** Resolves when the server is asked for a path, and gives what resolves when the client has gone. */
  async function asked(path: string): Promise<{ gone: Promise<unknown> }> {
    for (;;) {
      const [request] = (await once(allowed.server, 'request')) as [IncomingMessage];
      if (request.url === path)
        return { gone: new Promise((resolve) => request.socket.once('close', resolve)) };
    }
  }

  it('sends the request, named by the job, and keeps the answer', async () => {
    const { id } = await submit('/made', {
      method: 'POST',
      headers: { Authorization: SECRET },
      body: { customer: 'Ada' },
    });

    const job = await platform.until(id, 'completed');

    expect(job.result).toEqual({
      status: 200,
      headers: expect.objectContaining({ 'content-type': 'application/json' }),
      body: { answer: 42 },
      bodyEncoding: 'json',
      finalUrl: `${allowed.url}/made`,
      redirects: 0,
    });
    expect(allowed.seen).toMatchObject([
      {
        url: '/made',
        body: '{"customer":"Ada"}',
        headers: { 'idempotency-key': id, authorization: SECRET, 'content-type': 'application/json' },
      },
    ]);
    expect(await platform.logs(id)).toEqual([expect.stringMatching(/^200 after \d+ ms$/)]);
  });

  it('shows the values of headers neither to dashboards nor to logs', async () => {
    const { text } = await platform.request(
      'GET',
      '/admin/queues/api/queues?activeQueue=default-0&status=completed&page=1&jobsPerPage=100',
    );
    const logs = [...platform.workers, ...platform.apis.map(({ process }) => process)].map((process) =>
      process.output(),
    );

    expect(text).toContain('"Authorization":"***"');
    expect([text, ...logs].join()).not.toContain(SECRET);
  });

  it('is tried again after a 503, and not after a 404', async () => {
    const busy = await submit('/busy');
    const missing = await submit('/missing');

    expect(await platform.until(busy.id, 'completed')).toMatchObject({ attemptsMade: 2 });
    expect((await platform.job(busy.id)).attempts[0]?.error).toMatchObject({
      code: 'HTTP_STATUS',
      message: 'The answer is 503, not 2xx: {"answer":42}',
    });
    expect(await platform.until(missing.id, 'failed')).toMatchObject({
      attemptsMade: 1,
      error: { code: 'HTTP_STATUS' },
    });
  });

  it('reaches nothing on this machine but what is allowed, by a redirect neither', async () => {
    const { port } = new URL(hidden.url);
    const urls = [
      `${allowed.url}/away`,
      hidden.url,
      ...['localhost', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', '0'].map((host) => `http://${host}:${port}/`),
      'http://169.254.169.254/latest/meta-data/',
    ];
    const jobs = await Promise.all(urls.map((url) => submit('', { url })));

    for (const { id } of jobs)
      expect(await platform.until(id, 'failed')).toMatchObject({
        attemptsMade: 1,
        error: { code: 'DESTINATION_REFUSED' },
      });
    expect(hidden.seen).toEqual([]);
  });

  it('lets the server go when the time of the attempt is over', async () => {
    const question = asked('/hang');
    const { id } = await submit('/hang', {}, { timeout: 300, attempts: 1 });

    await (
      await question
    ).gone;

    expect(await platform.until(id, 'failed')).toMatchObject({ error: { code: 'TIMEOUT' } });
  });

  it('lets the server go when the job is cancelled', async () => {
    const question = asked('/hang');
    const { id } = await submit('/hang');
    const { gone } = await question;

    expect((await platform.request('POST', `/jobs/${id}/cancel`)).status).toBe(200);

    await gone;
    expect(await platform.job(id)).toMatchObject({ status: 'cancelled' });
  });

  it('heeds no proxy of the environment', () => {
    expect(proxy.seen).toEqual([]);
  });
});

async function startTarget(answer: RequestListener): Promise<Target> {
  const seen: Target['seen'] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ url: request.url, headers: request.headers, body });
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}
