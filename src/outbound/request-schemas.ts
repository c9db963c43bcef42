import { z } from 'zod';

const LONGEST_URL = 2_048;
const MOST_HEADERS = 50;
const LONGEST_HEADER = 8_192;

/** They are the connection's own: set by hand they would let one request pass for another. */
const OWN_TO_THE_CONNECTION =
  /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

/** Where a user may send a request. Whether the address is permitted is seen when it is connected to. */
export const outboundUrl = z
  .url({ protocol: /^https?$/, error: 'expected a URL that starts with http:// or https://' })
  .max(LONGEST_URL)
  .refine(carriesNoCredentials, 'must not carry a user name or a password');

/**
 * Request headers by name. Their values are masked for display, whatever they are called: any header may be a secret.
 * @see RFC 9110, 5.1 and 5.5; of the values, printable ASCII alone is taken
 */
export const outboundHeaders = z
  .unknown()
  .superRefine((headers, context) => {
    for (const { path, message } of flawsOf(headers)) context.addIssue({ code: 'custom', message, path });
  })
  .transform((headers) => headers as Record<string, string>)
  .meta({
    type: 'object',
    maxProperties: MOST_HEADERS,
    additionalProperties: { type: 'string', maxLength: LONGEST_HEADER, sensitive: true },
  });

function carriesNoCredentials(text: string): boolean {
  if (!URL.canParse(text)) return true; // what is no URL is told already
  const { username, password } = new URL(text);
  return username === '' && password === '';
}

/** By hand, because a record of zod leaves out the key `__proto__` without a word. */
function flawsOf(headers: unknown): { path: string[]; message: string }[] {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    return [{ path: [], message: 'expected an object of texts' }];

  const entries: [name: string, value: unknown][] = Object.entries(headers);
  if (entries.length > MOST_HEADERS)
    return [{ path: [], message: `expected at most ${MOST_HEADERS} headers` }];

  const seen = new Set<string>();
  return entries.flatMap(([name, value]) => {
    const message = flawOf(name, value, seen.has(name.toLowerCase()));
    seen.add(name.toLowerCase());
    return message === undefined ? [] : [{ path: [name], message }];
  });
}

function flawOf(name: string, value: unknown, again: boolean): string | undefined {
  if (!/^[!#$%&'*+.^_`|~\w-]{1,100}$/.test(name) || name === '__proto__')
    return 'this is no name of a header';
  if (OWN_TO_THE_CONNECTION.test(name)) return 'this header is set by the connection';
  if (again) return 'this header is there twice, in another spelling';
  if (typeof value !== 'string') return 'expected a text';
  if (value.length > LONGEST_HEADER) return `expected at most ${LONGEST_HEADER} characters`;
  return /^[\t\x20-\x7e]*$/.test(value) ? undefined : 'expected printable ASCII';
}
