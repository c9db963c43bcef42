import { canonicalJson, once } from './idempotency.js';

describe('canonical JSON', () => {
  it('is one text for one value, however it is written', () => {
    const texts = [
      '{"b":[1.0,{"d":null,"c":"é"}],"a":1e2}',
      ' { "a": 100, "b": [1, {"c":"\\u00e9", "d":null}] } ',
    ];

    expect(texts.map((text) => canonicalJson(JSON.parse(text)))).toEqual(
      Array(2).fill('{"a":100,"b":[1,{"c":"é","d":null}]}'),
    );
  });

  /** RFC 8785, section 3.2.3. */
  it('sorts keys by their UTF-16 code units', () => {
    const keys = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
    const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'];

    const text = canonicalJson(Object.fromEntries(keys.map((key) => [key, 0])));

    expect(text).toBe(`{${sorted.map((key) => `${JSON.stringify(key)}:0`).join(',')}}`);
  });

  it.each([
    ['{"a":1}', '{"a":"1"}'],
    ['[1,2]', '[2,1]'],
    ['{"a":null}', '{}'],
    ['{"__proto__":{"a":1}}', '{}'],
    ['{"toJSON":1}', '{"toJSON":2}'],
    ['["a","b"]', '["a,b"]'],
  ])('tells %s from %s', (one, other) => {
    expect(canonicalJson(JSON.parse(one))).not.toBe(canonicalJson(JSON.parse(other)));
  });

  it('leaves out what is absent, and writes a moment as text', () => {
    expect(canonicalJson({ b: undefined, a: new Date(0) })).toBe('{"a":"1970-01-01T00:00:00.000Z"}');
  });
});

describe('a fingerprint', () => {
  it('is made of the operation and the request, not of the key', () => {
    const { fingerprint } = once('k', 'submit', [1]);

    expect(fingerprint).toMatch(/^[\w-]{43}$/);
    expect(once('other', 'submit', [1]).fingerprint).toBe(fingerprint);
    expect(once('k', 'submit many', [1]).fingerprint).not.toBe(fingerprint);
    expect(once('k', 'submit', [2]).fingerprint).not.toBe(fingerprint);
  });
});
