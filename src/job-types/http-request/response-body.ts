import { findUnstorable } from '../../jobs/json-value.js';
import type { Json } from '../../jobs/job.js';

/** A response's body as a job's result holds it. `encoding` says how to read `body`. */
export interface ResponseBody {
  encoding: 'json' | 'text' | 'base64';
  body: Json;
}

/**
 * JSON where the content type says so and the value can be kept as it is; otherwise text, where the bytes are text in
 * their charset (UTF-8 where none is named); otherwise base64.
 */
export function readBody(bytes: Buffer, contentType = ''): ResponseBody {
  const text = textOf(bytes, contentType);
  if (text === undefined) return { encoding: 'base64', body: bytes.toString('base64') };

  const json = isJson(contentType) ? jsonOf(text) : undefined;
  return json === undefined ? { encoding: 'text', body: text } : { encoding: 'json', body: json };
}

function textOf(bytes: Buffer, contentType: string): string | undefined {
  const [, charset = 'utf-8'] = /;\s*charset="?([^\s;"]+)/i.exec(contentType) ?? [];
  try {
    const text = new TextDecoder(charset, { fatal: true }).decode(bytes);
    return findUnstorable(text, '') ? undefined : text;
  } catch {
    return undefined; // a charset that nobody knows, or bytes that are not in it
  }
}

function isJson(contentType: string): boolean {
  return /^\s*[\w.+-]+\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType);
}

/** @returns undefined for what is no JSON, or would not come back as it is (integers beyond 2^53, `\u0000`) */
function jsonOf(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return findUnstorable(value, '') ? undefined : (value as Json);
  } catch {
    return undefined;
  }
}
