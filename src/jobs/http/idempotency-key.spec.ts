import { ValidationFailed } from '../job.errors.js';
import { keyIn } from './idempotency-key.js';

const UUID = '8e03978e-40d5-43dd-bc93-6894a57f9324';

it.each([
  [UUID, UUID],
  [`"${UUID}"`, UUID],
  ['order:42/2026?x=1,2;y', 'order:42/2026?x=1,2;y'],
  ['"a b"', 'a b'],
  ['" "', ' '],
  [String.raw`"say \"hi\" \\o/"`, String.raw`say "hi" \o/`],
  [String.raw`a\b`, String.raw`a\b`],
  ['~'.repeat(255), '~'.repeat(255)],
  [`"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
])('reads %s', (text, key) => {
  expect(keyIn([text])).toBe(key);
});

it('needs no header', () => {
  expect(keyIn(undefined)).toBeUndefined();
});

it.each([
  ['nothing', ['']],
  ['an empty string', ['""']],
  ['256 characters', ['x'.repeat(256)]],
  ['256 quoted ones', [`"${'x'.repeat(256)}"`]],
  ['a space without quotes', ['a b']],
  ['two keys in one line', ['a, b']],
  ['two lines', ['a', 'a']],
  ['a quote inside', ['a"b']],
  ['a string without its end', ['"a']],
  ['a lone quote', ['"']],
  ['an end that is escaped', [String.raw`"a\"`]],
  ['an escape that is none', [String.raw`"a\n"`]],
  ['something behind the string', ['"a";b=1']],
  ['two strings', ['"a", "b"']],
  ['a letter beyond ASCII', ['clé']],
  ['one in quotes', ['"clé"']],
  ['a tab', ['a\tb']],
  ['a tab in quotes', ['"a\tb"']],
])('refuses %s, and names the header', (_what, lines) => {
  const refusal = (() => {
    try {
      return keyIn(lines);
    } catch (error) {
      return error;
    }
  })();

  expect(refusal).toBeInstanceOf(ValidationFailed);
  expect((refusal as ValidationFailed).errors).toEqual([
    { path: 'Idempotency-Key', message: expect.any(String) },
  ]);
});
