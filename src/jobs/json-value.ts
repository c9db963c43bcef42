import { ValidationFailed, type Violation } from './job.errors.js';
import type { Json } from './job.js';

/** RFC 8259 leaves the depth to implementations; ours is stated and refused beyond. */
export const MAX_DEPTH = 64;

/**
 * The one check that data, results, errors, logs and progress pass: what goes in can be read back deep-equal.
 * Refused: integers beyond ±(2^53−1) and non-finite numbers (JSON numbers do not hold them), `\u0000` and lone
 * surrogates (PostgreSQL does not hold them), nesting over 64, and whatever is not JSON at all.
 * A property that is `undefined` counts as absent, and −0 is 0.
 * @param path what the value is called in the violation
 */
export function findUnstorable(value: unknown, path: string): Violation | undefined {
  const flaw = flawOf(value, 0);
  if (!flaw) return undefined;

  const full = [path, ...flaw.keys.reverse()].filter((part) => part !== '').join('.');
  return { path: shown(full), message: flaw.message };
}

/** @throws ValidationFailed */
export function assertStorable(value: unknown, path: string): asserts value is Json {
  const violation = findUnstorable(value, path);
  if (violation) throw new ValidationFailed([violation]);
}

/** `keys` lead to the flaw from the inside out: they are gathered only once something is wrong. */
interface Flaw {
  keys: (string | number)[];
  message: string;
}

function flawOf(value: unknown, depth: number): Flaw | undefined {
  switch (typeof value) {
    case 'string':
      return textFlaw(value);
    case 'boolean':
      return undefined;
    case 'number':
      return numberFlaw(value);
    case 'object':
      if (value === null) return undefined;
      if (depth >= MAX_DEPTH) return flaw(`nested more than ${MAX_DEPTH} deep`);
      return Array.isArray(value) ? arrayFlaw(value, depth) : objectFlaw(value, depth);
    case 'undefined':
      return flaw('is missing');
    default:
      return flaw(`a ${typeof value} is not JSON`);
  }
}

/** A path may hold the very key that cannot be kept. */
function shown(path: string): string {
  const short = path.length > 100 ? `${path.slice(0, 97)}...` : path;
  return short.toWellFormed().replaceAll('\u0000', '\\u0000');
}

function textFlaw(text: string): Flaw | undefined {
  if (text.includes('\u0000')) return flaw('the character \\u0000 cannot be kept');
  if (!text.isWellFormed()) return flaw('a lone surrogate cannot be kept');
  return undefined;
}

function numberFlaw(number: number): Flaw | undefined {
  if (!Number.isFinite(number)) return flaw('a number beyond the range of JSON numbers cannot be kept');
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) {
    return flaw('integers beyond ±(2^53−1) lose digits: send them as strings');
  }
  return undefined;
}

function arrayFlaw(array: unknown[], depth: number): Flaw | undefined {
  for (let index = 0; index < array.length; index++) {
    const found = flawOf(array[index], depth + 1);
    if (found) return inside(index, found);
  }
  return undefined;
}

function objectFlaw(object: object, depth: number): Flaw | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    return flaw('only plain objects are JSON');
  }
  for (const [key, value] of Object.entries(object)) {
    const found = textFlaw(key) ?? (value === undefined ? undefined : flawOf(value, depth + 1));
    if (found) return inside(key, found);
  }
  return undefined;
}

function flaw(message: string): Flaw {
  return { keys: [], message };
}

function inside(key: string | number, found: Flaw): Flaw {
  found.keys.push(key);
  return found;
}
