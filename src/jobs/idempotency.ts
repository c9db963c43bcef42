import { createHash } from 'node:crypto';
import { ValidationFailed } from './job.errors.js';
import type { Job } from './job.js';

/** What a submit may be repeated by: the same key and fingerprint mean the same request. */
export interface Once {
  key: string;
  /** Base64url of the request's SHA-256. */
  fingerprint: string;
}

/** A job as its submit is answered. `replayed`: an earlier submit under the same key made it, and this is its answer. */
export interface SubmittedJob extends Job {
  replayed?: true;
  /** A job that is not over had its dedupe key already, and is this one. */
  duplicate?: true;
}

const KEY = /^[ -~]{1,255}$/;

/** What a key is, as a refusal says it. */
export const KEY_RULE = 'must be 1 to 255 printable ASCII characters';

export function isIdempotencyKey(text: string): boolean {
  return KEY.test(text);
}

/**
 * @param operation what is asked for: one key never stands for two of them
 * @param request plain JSON values, dates and absent properties
 * @throws ValidationFailed naming `idempotencyKey`
 */
export function once(key: string, operation: string, request: unknown): Once {
  if (!isIdempotencyKey(key)) throw new ValidationFailed([{ path: 'idempotencyKey', message: KEY_RULE }]);

  const fingerprint = createHash('sha256')
    .update(`${operation}\n${canonicalJson(request)}`)
    .digest('base64url');
  return { key, fingerprint };
}

/** RFC 8785: one text for all ways to write the same value. Absent properties are left out, dates are their UTC text. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null || value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;

  const properties = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, part]) => `${JSON.stringify(key)}:${canonicalJson(part)}`);
  return `{${properties.join(',')}}`;
}
