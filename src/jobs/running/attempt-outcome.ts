import { PermanentFailure, RetryableFailure, ValidationFailed } from '../job.errors.js';
import { SettlementEffect } from '../../job-types/settlement-effect.js';
import type { Effect } from '../job-repository.js';
import type { JobError, Json } from '../job.js';
import { findUnstorable } from '../json-value.js';
import { MAX_ERROR_MESSAGE_LENGTH, MAX_RESULT_LENGTH } from '../limits.js';

/** How an attempt ended, before the policy decides what follows from it. */
export type AttemptOutcome =
  | { kind: 'completed'; result: Json }
  | { kind: 'failed'; error: JobError; permanent: boolean }
  /** Completed, if its effect and its settlement commit. Throws what `outcomeOfError` takes. */
  | { kind: 'effect'; effect: Effect };

export type FailedOutcome = Extract<AttemptOutcome, { kind: 'failed' }>;

const LONGEST_STACK = 8_000;

/** What a handler threw elsewhere, judged there: its class does not cross from a thread, its outcome does. */
export class FailedElsewhere extends Error {
  constructor(readonly outcome: FailedOutcome) {
    super(outcome.error.message);
    this.name = 'FailedElsewhere';
  }
}

/** A handler's return value as a job's result. Nothing counts as null. */
export function outcomeOfResult(value: unknown): AttemptOutcome {
  return value instanceof SettlementEffect ? { kind: 'effect', effect: checked(value) } : resultOf(value);
}

/** An effect whose value is no result must not be committed. */
function checked({ apply }: SettlementEffect): Effect {
  return async (transaction) => {
    const outcome = resultOf(await apply(transaction));
    if (outcome.kind === 'failed') throw new PermanentFailure(outcome.error.message, outcome.error.code);
    return outcome.result;
  };
}

function resultOf(value: unknown): Exclude<AttemptOutcome, { kind: 'effect' }> {
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
export function outcomeOfError(thrown: unknown): FailedOutcome {
  if (thrown instanceof FailedElsewhere) return thrown.outcome;
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

function permanent(code: string, message: string): FailedOutcome {
  return { kind: 'failed', permanent: true, error: { code, message } };
}

function codeOf(thrown: unknown): string {
  const coded = thrown instanceof PermanentFailure || thrown instanceof RetryableFailure;
  const code: unknown = coded ? thrown.code : undefined;
  if (typeof code === 'string') return storableText(code);
  return thrown instanceof PermanentFailure ? 'PERMANENT_FAILURE' : 'HANDLER_ERROR';
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
