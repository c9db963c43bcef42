/** A refusal that the domain can name. The HTTP status for each code stands in the problem filter alone. */
export abstract class DomainError extends Error {
  abstract readonly code: string;

  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** Where a value breaks a rule: `path` is dotted from the request's root (`data.to`, `jobs.3.options.delay`). */
export interface Violation {
  path: string;
  message: string;
}

/** Input that breaks its schema or cannot be kept as it is. */
export class ValidationFailed extends DomainError {
  readonly code: string = 'VALIDATION_FAILED';

  constructor(readonly errors: Violation[]) {
    super(errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; '));
  }

  /** The same violations, seen from further out. */
  under(prefix: string): ValidationFailed {
    return new ValidationFailed(
      this.errors.map(({ path, message }) => ({ path: path ? `${prefix}.${path}` : prefix, message })),
    );
  }
}

/** Options each of which is valid, and which cannot hold together. */
export class ContradictoryOptions extends ValidationFailed {
  override readonly code = 'CONTRADICTORY_OPTIONS';

  override under(prefix: string): ContradictoryOptions {
    return new ContradictoryOptions(super.under(prefix).errors);
  }
}

/** A job that is not over has the dedupe key already. Nothing was accepted. */
export class DuplicateJob extends DomainError {
  readonly code = 'DUPLICATE_JOB';

  constructor(
    readonly dedupeKey: string,
    readonly jobId: string,
  ) {
    super(`Job ${jobId} has the dedupeKey "${dedupeKey}" and is not over.`);
  }
}

export class JobNotFound extends DomainError {
  readonly code = 'JOB_NOT_FOUND';

  constructor(readonly jobId: string) {
    super(`No job has the id ${jobId}.`);
  }
}

export class JobTypeNotFound extends DomainError {
  readonly code = 'JOB_TYPE_NOT_FOUND';

  constructor(type: string) {
    super(`No job type is named "${type}".`);
  }
}

export class QueueNotFound extends DomainError {
  readonly code = 'QUEUE_NOT_FOUND';

  constructor(queue: string) {
    super(`No job type uses a queue named "${queue}", and no job is in one.`);
  }
}

export class IllegalTransition extends DomainError {
  readonly code = 'ILLEGAL_TRANSITION';

  constructor(
    readonly jobId: string,
    move: string,
    readonly status: string,
    readonly legalFrom: readonly string[],
  ) {
    super(`Job ${jobId} is ${status}; ${move} needs it to be ${legalFrom.join(' or ')}.`);
  }
}

/** The key stands for another request. Nothing was accepted. */
export class IdempotencyKeyReused extends DomainError {
  readonly code = 'IDEMPOTENCY_KEY_REUSED';

  constructor() {
    super('The idempotency key was used for another request: take a new key for a new request.');
  }
}

/** Another request with the same key has not ended yet. Sent again, this one is told how that one ended. */
export class IdempotencyInFlight extends DomainError {
  readonly code = 'IDEMPOTENCY_IN_FLIGHT';

  constructor() {
    super('Another request with the same idempotency key has not ended yet; try again.');
  }
}

/** Nothing is wrong with the job: this process has no room for one more who waits for one. */
export class TooManyWatchers extends DomainError {
  readonly code = 'TOO_MANY_WATCHERS';

  constructor() {
    super('Too many clients of this process wait for jobs at the moment; try again.');
  }
}

/** How full a queue was found, and its limits; 0: none. */
export interface QueueFill {
  queue: string;
  /** Waiting jobs. */
  depth: number;
  /** ms that the oldest of them has been due */
  oldestWaiting: number;
  maxDepth: number;
  /** ms */
  maxAge: number;
}

/** More waits in the queue, or for longer, than may. Nothing was accepted. */
export class QueueFull extends DomainError {
  readonly code = 'QUEUE_FULL';
  readonly fill: QueueFill;
  /** s until there may be room. */
  readonly retryAfter: number;

  constructor({ retryAfter, ...fill }: QueueFill & { retryAfter: number }) {
    const { queue, depth, oldestWaiting, maxDepth, maxAge } = fill;
    const tooMany = maxDepth > 0 && depth > maxDepth;
    super(
      tooMany
        ? `The queue "${queue}" is full: ${depth} jobs wait, where ${maxDepth} may.`
        : `The queue "${queue}" is behind: its oldest job waits for ${Math.round(oldestWaiting)} ms, where ${maxAge} ms may pass.`,
    );
    this.fill = fill;
    this.retryAfter = retryAfter;
  }
}

/** Nothing is wrong with the request: this process has no room, or no time, for more. Nothing was accepted. */
export class Overloaded extends DomainError {
  readonly code = 'OVERLOADED';
}

/** PostgreSQL did not answer, so nothing was promised. Where it fell silent while it committed, nobody knows the outcome. */
export class RecordUnavailable extends DomainError {
  readonly code = 'RECORD_UNAVAILABLE';

  constructor(cause?: unknown) {
    super(
      'The record does not answer at the moment, and nothing is promised. Try again; a submit with the same Idempotency-Key is accepted once.',
    );
    this.cause = cause;
  }
}

/** An effect that was to commit with its attempt's settlement threw `cause`, and was rolled back. */
export class EffectFailed extends DomainError {
  readonly code = 'EFFECT_FAILED';

  constructor(cause: unknown) {
    super('The effect of an attempt failed.');
    this.cause = cause;
  }
}

/** A failure that no further attempt can mend. Thrown by a job type, it ends the job at once. */
export class PermanentFailure extends Error {
  constructor(
    message: string,
    readonly code = 'PERMANENT_FAILURE',
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'PermanentFailure';
  }
}

/** A failure that has a code, and that another attempt may mend. Thrown by a job type, it fails the attempt. */
export class RetryableFailure extends Error {
  constructor(
    message: string,
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'RetryableFailure';
  }
}
