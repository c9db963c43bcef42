import { readBody } from './response-body.js';

it.each<[string, string, unknown]>([
  ['application/json', '{"a":[1,null]}', { a: [1, null] }],
  ['application/json; charset=utf-8', '"grün"', 'grün'],
  ['APPLICATION/JSON', 'null', null],
  ['application/problem+json', '{"status":404}', { status: 404 }],
  ['application/vnd.example.v1+json;profile=x', '[]', []],
  ['application/json', '\uFEFF{}', {}],
])('%s is read as JSON: %s', (contentType, text, body) => {
  expect(readBody(Buffer.from(text), contentType)).toEqual({ encoding: 'json', body });
});

it.each([
  ['is none', '{"a":'],
  ['is empty', ''],
  ['has an integer that would lose digits', '{"id":12345678901234567890}'],
  ['has a character that cannot be kept', '{"a":"\\u0000"}'],
  ['has half a character', '"\\ud800"'],
  ['is nested too deep', '['.repeat(65) + ']'.repeat(65)],
])('JSON that %s stays text', (_flaw, text) => {
  expect(readBody(Buffer.from(text), 'application/json')).toEqual({ encoding: 'text', body: text });
});

it.each([
  ['text/plain', Buffer.from('grün'), 'grün'],
  ['text/plain; charset=iso-8859-1', Buffer.from('grün', 'latin1'), 'grün'],
  ['text/html; charset="utf-8"', Buffer.from('<p>'), '<p>'],
  ['text/plain; charset=utf-16le', Buffer.from('grün', 'utf16le'), 'grün'],
  ['application/jsonl', Buffer.from('{}'), '{}'],
  [undefined, Buffer.from('{}'), '{}'],
])('%s is read as text', (contentType, bytes, body) => {
  expect(readBody(bytes, contentType)).toEqual({ encoding: 'text', body });
});

it.each([
  ['image/png', Buffer.from('89504e470d0a1a0a', 'hex')],
  ['text/plain', Buffer.from('grün', 'latin1')],
  ['text/plain; charset=klingon', Buffer.from('nuqneH')],
  ['text/plain', Buffer.from('a\u0000b')],
  ['application/json', Buffer.from('1f8b08', 'hex')],
])('%s is kept in base64 where it is no text that can be kept', (contentType, bytes) => {
  expect(readBody(bytes, contentType)).toEqual({ encoding: 'base64', body: bytes.toString('base64') });
});
