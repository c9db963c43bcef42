import type { IncomingMessage } from 'node:http';
import { BodyBudget } from './body-budget.js';

const KIB = 1_024;
const request = (headers: IncomingMessage['headers']) => ({ headers }) as IncomingMessage;
const ofLength = (bytes: number) => request({ 'content-length': String(bytes) });

function budget() {
  return new BodyBudget(200 * KIB, 100 * KIB);
}

it.each([
  ['its length', ofLength(50 * KIB), 50],
  ['16 KiB where it is small', ofLength(10), 16],
  ['the limit where its length is not told', request({ 'transfer-encoding': 'chunked' }), 100],
  ['the limit where it is compressed', request({ 'content-encoding': 'gzip', 'content-length': '9' }), 100],
  ['the limit where it is longer: it is refused for that', ofLength(1e12), 100],
])('counts a body by %s', (_name, message, kib) => {
  const bodies = budget();

  bodies.take(message);

  expect(bodies.bytes).toBe(kib * KIB);
});

it('has no room past its limit, until something is given back, once', () => {
  const bodies = budget();
  const first = bodies.take(ofLength(100 * KIB));
  const second = bodies.take(ofLength(100 * KIB));
  expect([first, second]).not.toContain(undefined);
  expect(bodies.take(ofLength(1))).toBeUndefined();

  first?.();
  first?.();

  expect(bodies.bytes).toBe(100 * KIB);
  expect(bodies.take(ofLength(1))).toBeDefined();
});

it('has room for a single body that is larger than all may be together', () => {
  expect(new BodyBudget(10, 100 * KIB).take(ofLength(90 * KIB))).toBeDefined();
});
