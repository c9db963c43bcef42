import { z } from 'zod';
import type { Json } from '../jobs/job.js';
import { displayCopy } from './display-copy.js';

const secret = z.string().meta({ sensitive: true });

function shown(schema: z.ZodType, value: Json): Json {
  return displayCopy(value, z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }));
}

describe('sensitive fields are masked', () => {
  it.each<[string, z.ZodType, Json, Json]>([
    ['in an object', z.object({ a: secret, b: z.string() }), { a: 'x', b: 'y' }, { a: '***', b: 'y' }],
    ['when optional', z.object({ a: secret.optional() }), { a: 'x' }, { a: '***' }],
    ['when nullable', z.object({ a: secret.nullable() }), { a: 'x' }, { a: '***' }],
    ['with a default', z.object({ a: secret.default('x') }), { a: 'y' }, { a: '***' }],
    ['in a list', z.array(secret), ['x', 'y'], ['***', '***']],
    ['in a tuple', z.tuple([secret, secret]), ['x', 'y'], ['***', '***']],
    ['in a record', z.record(z.string(), secret), { a: 'x' }, { a: '***' }],
    [
      'behind a transform',
      z.object({ a: secret.transform((text) => text.length) }),
      { a: 'x' },
      { a: '***' },
    ],
    ['in one alternative', z.object({ a: z.union([secret, z.number()]) }), { a: 'x' }, { a: '***' }],
    [
      'in one variant',
      z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('a'), key: z.string() }),
        z.object({ kind: z.literal('b'), key: secret }),
      ]),
      { kind: 'b', key: 'x' },
      { kind: 'b', key: '***' },
    ],
    [
      'in an intersection',
      z.object({ a: z.string() }).and(z.object({ b: secret })),
      { a: 'x', b: 'y' },
      { a: 'x', b: '***' },
    ],
    [
      'in a schema with an id',
      z.object({ a: z.object({ b: secret }).meta({ id: 'A' }) }),
      { a: { b: 'x' } },
      { a: { b: '***' } },
    ],
    [
      'as a schema with an id',
      z.object({ a: secret.meta({ id: 'Secret', sensitive: true }) }),
      { a: 'x' },
      { a: '***' },
    ],
    ['as a whole', z.object({ a: z.string() }).meta({ sensitive: true }), { a: 'x' }, '***'],
    [
      'whatever they hold',
      z.object({ a: z.unknown().meta({ sensitive: true }) }),
      { a: { b: ['x'] } },
      { a: '***' },
    ],
  ])('%s', (_case, schema, value, expected) => {
    expect(shown(schema, value)).toEqual(expected);
  });

  it('in a schema that refers to itself', () => {
    const node = z.object({
      key: secret,
      get children() {
        return z.array(node);
      },
    });

    expect(shown(node, { key: 'x', children: [{ key: 'y', children: [] }] })).toEqual({
      key: '***',
      children: [{ key: '***', children: [] }],
    });
  });

  it('and an alternative that refers to itself ends', () => {
    expect(shown(z.json(), { a: ['x'] })).toEqual({ a: ['x'] });
  });
});

describe('what is large is cut', () => {
  it('a text, and never through a character', () => {
    expect(displayCopy('x'.repeat(200))).toBe('x'.repeat(200));
    expect(displayCopy('x'.repeat(201))).toBe(`${'x'.repeat(200)}… (201 characters)`);
    expect(displayCopy(`${'x'.repeat(199)}😀`)).toMatch(/^x{199}\uFFFD… /);
  });

  it('a list and an object', () => {
    const list = Array.from({ length: 23 }, (_item, index) => index);
    const object = Object.fromEntries(list.map((index) => [`key${index}`, index]));

    expect(displayCopy(list)).toEqual([...list.slice(0, 20), '… 3 more']);
    expect(Object.entries(displayCopy(object) as object)).toHaveLength(21);
    expect(displayCopy(object)).toMatchObject({ key19: 19, '…': '3 more' });
  });

  it('a key', () => {
    expect(displayCopy({ ['k'.repeat(300)]: 1 })).toEqual({ [`${'k'.repeat(200)}… (300 characters)`]: 1 });
  });

  it('what lies too deep', () => {
    expect(displayCopy({ a: { b: { c: { d: {}, e: [], f: 1 } } } })).toEqual({
      a: { b: { c: { d: '{…}', e: '[…]', f: 1 } } },
    });
  });
});

it('shows everything else as it is, keys of every name included', () => {
  const value = JSON.parse('{"__proto__":{"a":1},"constructor":null,"hasOwnProperty":true,"n":-1.5}') as Json;

  expect(JSON.stringify(displayCopy(value, { type: 'object', properties: {} }))).toBe(JSON.stringify(value));
});
