import { PermanentFailure, ValidationFailed } from '../job.errors.js';
import type { JobError, Json } from '../job.js';
import { findUnstorable } from '../json-value.js';
import { MAX_ERROR_MESSAGE_LENGTH, MAX_RESULT_LENGTH } from '../limits.js';

/** How an attempt ended, before the policy decides what follows from it. */
export type AttemptOutcome =
  { kind: 'completed'; result: Json } | { kind: 'failed'; error: JobError; permanent: boolean };

const LONGEST_STACK = 8_000;

/** A handler's return value as a job's result. Nothing counts as null. */
export function outcomeOfResult(value: unknown): AttemptOutcome {
  const result = value ?? null;
  const flaw = findUnstorable(result, 'result');
  if (flaw) return permanent('RESULT_INVALID', `${flaw.path}: ${flaw.message}`);

  const json = JSON.stringify(result);
  if (json.length > MAX_RESULT_LENGTH) {
    return permanent(
      'RESULT_TOO_LARGE',
      `${json.length} characters of JSON are more than the ${MAX_RESULT_LENGTH} allowed`,
    );
  }
  return { kind: 'completed', result: result as Json };
}

/** Whatever a handler threw. */
export function outcomeOfError(thrown: unknown): AttemptOutcome {
  if (thrown instanceof ValidationFailed) return permanent('DATA_INVALID', thrown.message);

  const message = storableText(messageOf(thrown));
  if (message.length > MAX_ERROR_MESSAGE_LENGTH) {
    return permanent(
      'ERROR_TOO_LARGE',
      `The attempt failed with a message of ${message.length} characters; ${MAX_ERROR_MESSAGE_LENGTH} are allowed`,
    );
  }
  const error: JobError = { code: codeOf(thrown), message };
  const stack = stackOf(thrown);
  if (stack) error.stack = shortened(storableText(stack));
  return { kind: 'failed', error, permanent: thrown instanceof PermanentFailure };
}

/** The job's time ran out. Another attempt may be quicker. */
export function outcomeOfTimeout(timeout: number): AttemptOutcome {
  return {
    kind: 'failed',
    permanent: false,
    error: { code: 'TIMEOUT', message: `The attempt was stopped after ${timeout} ms` },
  };
}

function permanent(code: string, message: string): AttemptOutcome {
  return { kind: 'failed', permanent: true, error: { code, message } };
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof PermanentFailure)) return 'HANDLER_ERROR';
  const code: unknown = thrown.code;
  return typeof code === 'string' ? storableText(code) : 'PERMANENT_FAILURE';
}

/** Anything can be thrown, and whatever it is, the attempt must end. Even asking a thrown value for its text may throw. */
function messageOf(thrown: unknown): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : thrown;
    return typeof message === 'string' ? message : String(message);
  } catch {
    return 'The handler threw a value that cannot be shown';
  }
}

function stackOf(thrown: unknown): string | undefined {
  try {
    const stack: unknown = thrown instanceof Error ? thrown.stack : undefined;
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}

/** An error must always be recordable: what PostgreSQL cannot hold is replaced by the mark for it. */
function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\uFFFD');
}

function shortened(stack: string): string {
  if (stack.length <= LONGEST_STACK) return stack;
  return `${stack.slice(0, LONGEST_STACK).toWellFormed()}\n… (cut, ${stack.length} characters in all)`;
}
