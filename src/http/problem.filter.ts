import {
  Catch,
  HttpException,
  HttpStatus,
  Logger,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { DomainError, Overloaded, QueueFull, ValidationFailed } from '../jobs/job.errors.js';
import { allowedMethods, methodNotAllowed } from './allowed-methods.js';
import { codeOfStatus, HttpProblem, sendProblem, type Answer } from './problem.js';

/** The HTTP status of each domain error. No other place knows one. */
const STATUS_OF_DOMAIN_ERROR: Record<string, HttpStatus> = {
  VALIDATION_FAILED: HttpStatus.BAD_REQUEST,
  CONTRADICTORY_OPTIONS: HttpStatus.UNPROCESSABLE_ENTITY,
  JOB_NOT_FOUND: HttpStatus.NOT_FOUND,
  JOB_TYPE_NOT_FOUND: HttpStatus.NOT_FOUND,
  OPERATION_NOT_FOUND: HttpStatus.NOT_FOUND,
  QUEUE_NOT_FOUND: HttpStatus.NOT_FOUND,
  ILLEGAL_TRANSITION: HttpStatus.CONFLICT,
  DUPLICATE_JOB: HttpStatus.CONFLICT,
  IDEMPOTENCY_IN_FLIGHT: HttpStatus.CONFLICT,
  IDEMPOTENCY_KEY_REUSED: HttpStatus.UNPROCESSABLE_ENTITY,
  INVALID_SCHEDULE: HttpStatus.UNPROCESSABLE_ENTITY,
  SCHEDULE_NOT_FOUND: HttpStatus.NOT_FOUND,
  TOO_MANY_SCHEDULES: HttpStatus.CONFLICT,
  QUEUE_FULL: HttpStatus.TOO_MANY_REQUESTS,
  OVERLOADED: HttpStatus.SERVICE_UNAVAILABLE,
  RECORD_UNAVAILABLE: HttpStatus.SERVICE_UNAVAILABLE,
  TOO_MANY_WATCHERS: HttpStatus.SERVICE_UNAVAILABLE,
};

/** What another try, a second later, may mend. */
const PASSING = ['RECORD_UNAVAILABLE', 'IDEMPOTENCY_IN_FLIGHT', 'TOO_MANY_WATCHERS', 'OVERLOADED'];

/** A request cannot be made to produce an answer much larger than itself. */
const MOST_ERRORS = 100;

const UNEXPECTED: Answer = {
  status: HttpStatus.INTERNAL_SERVER_ERROR,
  code: 'INTERNAL_ERROR',
  detail: 'Something went wrong here, not in the request. It is in the log.',
};

/** Turns every error into a problem document, and logs those that nobody expected. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const answer = answerTo(error, request);

    // Those count themselves: a line each would be one more burden.
    if (answer.status >= 500 && !(error instanceof Overloaded)) this.log(error, answer, request);
    if (response.headersSent) {
      // Half an answer is out: only a broken connection tells the client that it is not whole.
      if (!response.writableEnded) response.destroy();
      return;
    }
    if (!response.destroyed) sendProblem(response, pathOf(request), answer);
  }

  private log(error: unknown, { status, code }: Answer, request: Request): void {
    const facts = { method: request.method, path: pathOf(request), status, code };
    if (error instanceof DomainError || error instanceof HttpProblem) {
      this.logger.warn('refused', { ...facts, error: error.cause ?? error });
    } else {
      this.logger.error('request failed', facts, error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function answerTo(error: unknown, request: Request): Answer {
  if (error instanceof DomainError) return answerToDomainError(error);
  if (error instanceof HttpProblem) return error.answer;
  // Thrown inside body-parser, it comes back wrapped.
  if (error instanceof HttpException && error.cause instanceof HttpProblem) return error.cause.answer;
  if (error instanceof HttpException) return answerToHttpException(error, request);
  return UNEXPECTED;
}

function answerToDomainError(error: DomainError): Answer {
  const status = STATUS_OF_DOMAIN_ERROR[error.code];
  if (status === undefined) return UNEXPECTED;

  if (error instanceof ValidationFailed) {
    return {
      status,
      code: error.code,
      detail: summaryOf(error),
      members: { errors: error.errors.slice(0, MOST_ERRORS) },
    };
  }
  if (error instanceof QueueFull) {
    const headers = { 'Retry-After': String(error.retryAfter) };
    return { status, code: error.code, detail: error.message, headers, members: { ...error.fill } };
  }
  const headers: Answer['headers'] = PASSING.includes(error.code) ? { 'Retry-After': '1' } : undefined;
  return { status, code: error.code, detail: error.message, headers };
}

function answerToHttpException(error: HttpException, request: Request): Answer {
  const status = error.getStatus();
  if (status >= 500) return { ...UNEXPECTED, status };
  // Only where no route has matched: a handler's own 404 is about what it looked for.
  if (status === 404 && !request.route) return answerToNoRoute(request);

  const parserError = bodyParserError(error.cause);
  if (parserError) return { status, ...parserError };
  return { status, code: codeOfStatus(status), detail: error.message };
}

function answerToNoRoute(request: Request): Answer {
  const path = pathOf(request);
  const allowed = allowedMethods(request.app, path);
  if (allowed.length === 0) return { status: 404, code: 'NOT_FOUND', detail: `Nothing is at ${path}.` };
  return methodNotAllowed(request.method, path, allowed);
}

/** body-parser marks its errors with a `type`. */
function bodyParserError(cause: unknown): { code: string; detail: string } | undefined {
  if (!(cause instanceof Error) || !('type' in cause)) return undefined;
  switch (cause.type) {
    case 'entity.parse.failed':
      return { code: 'MALFORMED_JSON', detail: `The body is not JSON: ${cause.message}` };
    case 'entity.too.large': {
      const limit = 'limit' in cause ? ` of ${String(cause.limit)} bytes` : '';
      return { code: 'PAYLOAD_TOO_LARGE', detail: `The body is larger than the limit${limit}.` };
    }
    default:
      return undefined;
  }
}

function summaryOf({ errors: [first, ...more] }: ValidationFailed): string {
  if (!first) return 'The request is not valid.';
  const text = first.path ? `${first.path}: ${first.message}` : first.message;
  return more.length > 0 ? `${text} (and ${more.length} more)` : text;
}

function pathOf(request: Request): string {
  return request.originalUrl.split('?', 1)[0] ?? '';
}
