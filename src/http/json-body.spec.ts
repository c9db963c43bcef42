import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import express, { type ErrorRequestHandler } from 'express';
import { parseJson, requireJson } from './json-body.js';

const LIMIT = 100;
const text = '{"name":"Ünïcødé 𝄞","__proto__":1}';
const JSON_TYPE = { 'content-type': 'application/json' };

const tell: ErrorRequestHandler = (error: { status: number; message: string }, _request, response, _next) => {
  response.status(error.status).json({ message: error.message });
};

const traces = new AsyncLocalStorage<string>();
let server: Server;
let trace: string | undefined;

beforeAll(async () => {
  const app = express();
  app.use((_request, _response, next) => traces.run('here', next));
  app.use(requireJson, parseJson(LIMIT));
  app.use((_request, _response, next) => {
    trace = traces.getStore();
    next();
  });
  app.use((seen, response) => void response.json({ body: (seen.body as unknown) ?? null }));
  app.use(tell);
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

/** Each part in a packet of its own; a length is only declared where `headers` has one. */
async function send(method: string, headers: Record<string, string>, parts: (string | Uint8Array)[]) {
  const { port } = server.address() as AddressInfo;
  const sent = request({ port, host: '127.0.0.1', method, headers });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  for (const part of parts) {
    sent.write(part);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  sent.end();
  const [answer] = await answered;
  return { status: answer.statusCode, answer: await json(answer) };
}

function declared(body: string | Uint8Array, more: Record<string, string> = {}): Record<string, string> {
  return { ...JSON_TYPE, 'content-length': String(Buffer.byteLength(body)), ...more };
}

const zipped = gzipSync(text);
const bytes = Buffer.from(text);

it.each<[string, Record<string, string>, (string | Uint8Array)[]]>([
  ['with its length', declared(text), [text]],
  ['in pieces that cut a character', declared(text), [bytes.subarray(0, 11), bytes.subarray(11)]],
  ['with no length', JSON_TYPE, [text]],
  ['with a charset', declared(text, { 'content-type': 'Application/JSON;charset=UTF-8' }), [text]],
  ['with a quoted charset', declared(text, { 'content-type': 'application/json; charset="utf-8"' }), [text]],
  ['with a parameter', declared(text, { 'content-type': 'application/json; profile=a' }), [text]],
  ['compressed', declared(zipped, { 'content-encoding': 'gzip' }), [zipped]],
  ['not compressed, as is said', declared(text, { 'content-encoding': 'identity' }), [text]],
  ['with a byte order mark', declared(`\uFEFF${text}`), [`\uFEFF${text}`]],
])('reads JSON %s', async (_how, headers, parts) => {
  const { status, answer } = await send('POST', headers, parts);

  expect(status).toBe(200);
  expect(trace).toBe('here');
  expect(JSON.stringify(answer)).toBe(`{"body":${text}}`);
});

it.each<[string, number, Record<string, string>, string]>([
  ['text that is no JSON', 400, declared('{"a":'), '{"a":'],
  ['JSON that is no object', 400, declared('"text"'), '"text"'],
  ['null', 400, declared('null'), 'null'],
  [
    'a charset that JSON does not have',
    415,
    declared('{}', { 'content-type': 'application/json;charset=utf-16' }),
    '{}',
  ],
  ['another type', 415, declared('{}', { 'content-type': 'text/plain' }), '{}'],
  ['more than the limit, as is declared', 413, declared('1'.repeat(LIMIT + 1)), '1'.repeat(LIMIT + 1)],
  ['more than the limit, with no length', 413, JSON_TYPE, '1'.repeat(LIMIT + 1)],
])('refuses %s', async (_what, status, headers, body) => {
  expect((await send('POST', headers, [body])).status).toBe(status);
});

it('refuses bytes that are no UTF-8', async () => {
  const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);

  expect((await send('POST', declared(body), [body])).status).toBe(400);
});

it('lets pass what has no body', async () => {
  expect(await send('POST', { 'content-length': '0' }, [])).toEqual({ status: 200, answer: { body: null } });
});
