import { ValidationFailed } from './job.errors.js';
import { assertStorable, findUnstorable, MAX_DEPTH } from './json-value.js';

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { a: value };
  return value;
}

describe('what can be kept', () => {
  it.each([
    ['null', null],
    ['booleans', [true, false]],
    ['numbers up to the safe ones', [0, -1.5, 1e-300, 2 ** 53 - 1, -(2 ** 53 - 1), Number.MIN_VALUE]],
    ['text of every script, emoji and control characters', 'Grüße 日本 😀 \u0001\u001f\u007f\uffff'],
    ['empty things', { a: {}, b: [], c: '' }],
    [
      'keys that JavaScript gives a meaning',
      JSON.parse('{"__proto__":1,"constructor":2,"hasOwnProperty":3,"":4}'),
    ],
    ['nested ones of these', JSON.parse('{"a":{"__proto__":{"constructor":{"prototype":{"x":1}}}}}')],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['a property that is undefined, as an absent one', { a: undefined }],
    ['the deepest nesting', nested(MAX_DEPTH)],
    ['a long list', Array(100_000).fill(0)],
  ])('%s', (_case, value) => {
    expect(findUnstorable(value, 'data')).toBeUndefined();
  });

  it('is left as it is, key for key', () => {
    const sent =
      '{"b":1,"a":{"__proto__":{"x":[1,{"constructor":null}]},"hasOwnProperty":"mine"},"2":2,"1":1}';
    const value: unknown = JSON.parse(sent);
    const before = JSON.stringify(value);

    assertStorable(value, 'data');

    expect(JSON.stringify(value)).toBe(before);
    expect(value).toEqual(JSON.parse(sent));
  });
});

describe('what is refused', () => {
  it.each<[string, unknown, string]>([
    ['an integer that is too large', { n: 2 ** 53 }, 'data.n'],
    ['an integer that is too small', { n: -(2 ** 53) }, 'data.n'],
    ['a large number written with an exponent', { n: JSON.parse('1e30') }, 'data.n'],
    ['a number beyond the range', { n: JSON.parse('1e400') }, 'data.n'],
    ['NaN', { n: NaN }, 'data.n'],
    ['-Infinity', { n: -Infinity }, 'data.n'],
    ['\\u0000 in a text', { text: 'a\u0000b' }, 'data.text'],
    ['a high surrogate alone', { text: 'a\ud800' }, 'data.text'],
    ['a low surrogate alone', { text: '\udc00a' }, 'data.text'],
    ['surrogates the wrong way round', { text: '\udc00\ud800' }, 'data.text'],
    ['undefined', undefined, 'data'],
    ['undefined in a list', { list: [1, undefined] }, 'data.list.1'],
    ['a hole in a list', { list: Array(1) }, 'data.list.0'],
    ['a function', { f: () => 1 }, 'data.f'],
    ['a symbol', { s: Symbol('s') }, 'data.s'],
    ['a bigint', { n: 1n }, 'data.n'],
    ['a Date', { at: new Date() }, 'data.at'],
    ['a Map', { map: new Map() }, 'data.map'],
    ['a Buffer', { bytes: Buffer.from('a') }, 'data.bytes'],
    ['an Error', { error: new Error('x') }, 'data.error'],
    ['an object that says itself how it is written', { a: { toJSON: () => 1 } }, 'data.a.toJSON'],
    [
      'the first flaw of several, where it stands',
      { a: [{ b: 1 }, { b: { c: NaN } }], d: NaN },
      'data.a.1.b.c',
    ],
  ])('%s', (_case, value, path) => {
    expect(findUnstorable(value, 'data')).toEqual({ path, message: expect.any(String) });
  });

  it('nesting beyond the limit, with a path that stays short', () => {
    const violation = findUnstorable(nested(MAX_DEPTH + 1), 'data');

    expect(violation).toMatchObject({ message: 'nested more than 64 deep' });
    expect(violation?.path.length).toBeLessThanOrEqual(100);
  });

  it('endless nesting, without running out of stack', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;

    expect(findUnstorable(cycle, 'data')?.message).toMatch('nested');
    expect(findUnstorable(JSON.parse('['.repeat(5_000) + ']'.repeat(5_000)), 'data')?.message).toMatch(
      'nested',
    );
  });

  it.each(['\u0000', '\ud800'])('a key that holds %j', (character) => {
    expect(findUnstorable({ [`a${character}`]: 1 }, 'data')?.message).toMatch('cannot be kept');
  });

  it('by throwing the violation', () => {
    expect(() => assertStorable({ n: NaN }, 'result')).toThrow(ValidationFailed);
    expect(() => assertStorable({ n: NaN }, 'result')).toThrow('result.n: ');
  });
});

it('names a value that has no name by its own path', () => {
  expect(findUnstorable({ n: NaN }, '')?.path).toBe('n');
});
