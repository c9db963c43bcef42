import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader, ApiResponse } from '@nestjs/swagger';
import type { Request } from 'express';
import { problemContent } from '../../http/api-problems.js';
import { isIdempotencyKey, KEY_RULE } from '../idempotency.js';
import { ValidationFailed } from '../job.errors.js';

const HEADER = 'Idempotency-Key';

/** Says on a 202 that it is the answer to an earlier request. */
export const REPLAYED_HEADER = 'Idempotency-Replayed';

export const replayedHeader = {
  [REPLAYED_HEADER]: {
    description: '`true` where the jobs are those of an earlier request with the same key; absent otherwise.',
    schema: { type: 'string' as const, example: 'true' },
  },
};

/** The header's key, or undefined. @throws ValidationFailed naming the header */
export const IdempotencyKey = createParamDecorator((_none: unknown, context: ExecutionContext) => {
  const { headersDistinct } = context.switchToHttp().getRequest<Request>();
  return keyIn(headersDistinct['idempotency-key']);
});

/** Documents the header and what only a request with it is answered. */
export function ApiIdempotent(): MethodDecorator {
  return applyDecorators(
    ApiHeader({
      name: HEADER,
      required: false,
      // No `example`: Swagger UI would send it with every request, and the second one would be refused.
      description:
        'Makes the request safe to repeat: the same key with the same body is given the first answer again, and no ' +
        'further job is made. Up to 255 printable ASCII characters, quoted (`"8e03978e-40d5-43dd-bc93-6894a57f9324"`) ' +
        'or, where no space and no quote is in it, bare.',
      schema: { type: 'string', minLength: 1 },
    }),
    ApiResponse({
      status: 409,
      description:
        'A request with this key has not ended yet: try again after `Retry-After`. Or a job that is not over has the ' +
        '`dedupeKey` (code `DUPLICATE_JOB`).',
      content: problemContent,
    }),
    ApiResponse({
      status: 422,
      description:
        'The key was used for another request, or options contradict each other (`errors` names them).',
      content: problemContent,
    }),
  );
}

/** Exposed for tests. @param lines the header as often as it was sent */
export function keyIn(lines: readonly string[] | undefined): string | undefined {
  if (!lines) return undefined;
  const [text = '', ...more] = lines;
  if (more.length > 0) throw refusal('may be given only once');

  const key = text.startsWith('"') ? unquoted(text) : bare(text);
  if (!isIdempotencyKey(key)) throw refusal(KEY_RULE);
  return key;
}

/** A string of RFC 9651, section 3.3.3, without parameters: `\` stands before `"` and `\` alone. */
function unquoted(text: string): string {
  if (!/^"(?:[^"\\]|\\["\\])*"$/.test(text))
    throw refusal('must be one quoted string, and nothing behind it');
  return text.slice(1, -1).replaceAll(/\\(["\\])/g, '$1');
}

/** Not in the draft, and common. A space, or several lines joined by a proxy, would leave open where a key ends. */
function bare(text: string): string {
  if (/[ "]/.test(text)) throw refusal('must be quoted where it holds a space or a quote');
  return text;
}

function refusal(message: string): ValidationFailed {
  return new ValidationFailed([{ path: HEADER, message }]);
}
