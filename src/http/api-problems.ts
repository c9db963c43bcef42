import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { ProblemDto } from './problem.dto.js';

const DESCRIPTIONS = {
  400: 'Something in the request is wrong; `errors` names the fields.',
  404: 'There is no such thing.',
  409: 'The state of the job does not allow it.',
  413: 'The body is too large.',
  415: 'The body is not sent as application/json in UTF-8.',
  422: 'Parts of the request contradict each other, or cannot work; `errors` names them.',
  429: 'Too many requests, or the queue is full (`QUEUE_FULL`, with its figures). Try again after `Retry-After`.',
  503: 'PostgreSQL does not answer, and nothing is promised; or this process has too much to do (`OVERLOADED`). Try again after `Retry-After`, with the same `Idempotency-Key`.',
} as const;

/** Documents the problems that a route may answer with. Those that any route may are added to the document itself. */
export function ApiProblems(...statuses: (keyof typeof DESCRIPTIONS)[]): MethodDecorator & ClassDecorator {
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...statuses.map((status) =>
      ApiResponse({ status, description: DESCRIPTIONS[status], content: problemContent }),
    ),
  );
}

export const problemContent = {
  'application/problem+json': { schema: { $ref: getSchemaPath(ProblemDto) } },
};
