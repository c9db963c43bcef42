import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { EdgeAdapter } from './edge.adapter.js';

let server: Server;
let url: string;
/** Of each request and its answer, before Express has seen them. */
let born: unknown[];
let handled: unknown[];

beforeAll(async () => {
  const adapter = new EdgeAdapter();
  adapter.initHttpServer({});
  server = adapter.getHttpServer();
  server.prependListener('request', (request, response) => (born = prototypesOf(request, response)));

  const inner = express();
  inner.get('/', (request, response) => void response.json({ path: request.path, base: request.baseUrl }));
  adapter.use('/inner', inner);
  adapter.get('/outer', (request: Request, response: Response) => {
    handled = prototypesOf(request, response);
    response
      .status(202)
      .json({ path: request.path, ip: request.ip, same: request.app === adapter.getInstance() });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

function prototypesOf(...objects: object[]): unknown[] {
  return objects.map((object) => Object.getPrototypeOf(object) as unknown);
}

it('makes requests and answers that Express leaves as they are', async () => {
  const response = await fetch(`${url}/outer?a=1`);

  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ path: '/outer', ip: '127.0.0.1', same: true });
  expect(handled[0]).toBe(born[0]);
  expect(handled[1]).toBe(born[1]);
});

it('serves applications that are mounted on it', async () => {
  expect(await (await fetch(`${url}/inner`)).json()).toEqual({ path: '/', base: '/inner' });
});

it('refuses what its server would not do', () => {
  expect(() => new EdgeAdapter().initHttpServer({ httpsOptions: {} })).toThrow('plain server');
});
