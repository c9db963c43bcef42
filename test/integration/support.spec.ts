import { Redis } from 'ioredis';
import { createTransport } from 'nodemailer';
import { Client } from 'pg';
import { ApiContract } from '../support/api-contract.js';
import {
  describeMissingPostgres,
  type PrivatePostgres,
  startPostgres,
  systemPostgresAvailable,
} from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { startSmtpSink } from '../support/smtp-sink.js';

const select = async (url: string, sql: string): Promise<unknown> => {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<{ value: unknown }>(sql)).rows[0]?.value;
  } finally {
    await client.end();
  }
};

const system = 'a private PostgreSQL (system)';

describePostgres('a private PostgreSQL (embedded)', 'embedded');
if (systemPostgresAvailable()) describePostgres(system, 'system');
else describeMissingPostgres(system);

function describePostgres(name: string, binaries: 'embedded' | 'system'): void {
  describe(name, () => {
    let server: PrivatePostgres;

    beforeAll(async () => {
      server = await startPostgres({ binaries, settings: { work_mem: '5MB' } });
    });
    afterAll(() => server?.stop());

    it('answers, in the database that was made, with the settings given', async () => {
      const url = await server.createDatabase();

      expect(await select(url, 'SELECT 1 AS value')).toBe(1);
      expect(await select(url, `SELECT current_setting('work_mem') AS value`)).toBe('5MB');
    });

    it('keeps what was committed over a kill, on the same URL', async () => {
      const url = await server.createDatabase('kept');
      await select(url, 'CREATE TABLE kept AS SELECT 7 AS value');

      await server.kill();
      await expect(select(url, 'SELECT 1 AS value')).rejects.toThrow();
      await server.start();

      expect(await select(url, 'SELECT value FROM kept')).toBe(7);
    });
  });
}

describe('a private Redis', () => {
  it('answers, and can be wiped', async () => {
    const server = await startRedis();
    const client = new Redis(server.url);

    expect(await client.ping()).toBe('PONG');
    await client.set('key', 'value');
    await server.flushAll();
    expect(await client.get('key')).toBeNull();

    client.disconnect();
    await server.stop();
  });

  it.each([
    { appendonly: true, left: 'value' },
    { appendonly: false, left: null },
  ])('comes back from a kill with $left when appendonly is $appendonly', async ({ appendonly, left }) => {
    const server = await startRedis({ appendonly });
    const before = new Redis(server.url, { retryStrategy: () => null });
    await before.set('key', 'value');
    before.disconnect();

    await server.kill();
    await server.start();

    const after = new Redis(server.url);
    expect(await after.get('key')).toBe(left);
    after.disconnect();
    await server.stop();
  });

  it('hangs while paused', async () => {
    const server = await startRedis();
    const client = new Redis(server.url, { commandTimeout: 200 });
    await client.ping();

    server.pause();
    await expect(client.ping()).rejects.toThrow('Command timed out');
    server.resume();
    expect(await client.ping()).toBe('PONG');

    client.disconnect();
    await server.stop();
  });
});

describe('the mail sink', () => {
  it('keeps what it accepts, and refuses when told', async () => {
    const sink = await startSmtpSink();
    const mailer = createTransport(sink.url);
    const mail = { from: 'a@example.com', to: 'b@example.com', subject: 'Hello', text: 'World' };

    sink.failNext(1, 452);
    await expect(mailer.sendMail(mail)).rejects.toMatchObject({ responseCode: 452 });
    await mailer.sendMail(mail);

    expect(sink.messages).toHaveLength(1);
    expect(sink.messages[0]).toMatchObject({ subject: 'Hello', text: 'World\n' });
    await sink.stop();
  });
});

describe('the contract of an API', () => {
  const json = (schema: object) => ({ description: '', content: { 'application/json': { schema } } });
  const contract = new ApiContract({
    openapi: '3.0.0',
    info: { title: 'Pets', version: '1' },
    paths: {
      '/pets/{id}': {
        get: { responses: { 200: json({ $ref: '#/components/schemas/Pet' }) } },
      },
      '/pets/mine': { get: { responses: { 200: json({ type: 'array', items: { type: 'string' } }) } } },
    },
    components: {
      schemas: {
        Pet: {
          type: 'object',
          required: ['example'],
          properties: {
            example: { type: 'string' },
            born: { type: 'string', format: 'date-time', nullable: true },
          },
        },
      },
    },
  });
  const told = (text: string, answer: object = {}) =>
    contract.differences({
      method: 'GET',
      path: '/pets/1?x=2',
      status: 200,
      contentType: 'application/json; charset=utf-8',
      text,
      ...answer,
    });

  it.each([
    ['a field that it needs', '{"born":null}', {}, /^\/ must have required property 'example'/],
    ['a field that it does not know', '{"example":"a","age":3}', {}, /^\/ must NOT have unevaluated prop/],
    ['a value of another type', '{"example":1}', {}, /^\/example must be string/],
    ['a text of another form', '{"example":"a","born":"today"}', {}, /^\/born must match format/m],
    ['a status', '{}', { status: 201 }, /^status 201 is not declared$/],
    ['a content type', 'a', { contentType: 'text/plain' }, /^content type text\/plain is not declared$/],
    ['a method', '{}', { method: 'POST' }, /^no such method$/],
    ['the more exact of two paths', '[1]', { path: '/pets/mine' }, /^\/0 must be string/],
  ])('names %s', (_, text, answer, difference) => {
    expect(told(text, answer).join('\n')).toMatch(difference);
  });

  it('has nothing against an answer that is as it says', () => {
    expect(told('{"example":"a","born":null}')).toEqual([]);
    expect(told('{"example":"a","born":"2026-01-31T09:30:00.000Z"}')).toEqual([]);
    expect(told('["a"]', { path: '/pets/mine' })).toEqual([]);
    expect(told('', { method: 'POST', status: 405 })).toEqual([]);
  });
});
