/** What a line may carry beside its message. Anything else, such as a payload, is left out. */
export type Fact = string | number | bigint | boolean | null | undefined | Date | Error;

/** Facts, not prose: `logger.log('completed', { jobId, type, attempt, durationMs } satisfies Facts)`. */
export type Facts = Record<string, Fact>;

const SCALARS = new Set(['string', 'number', 'bigint', 'boolean', 'undefined']);

export type Level = 'debug' | 'log' | 'warn' | 'error' | 'fatal';

export interface LogEntry {
  at: Date;
  level: Level;
  context?: string;
  message: string;
  facts: Facts;
  /** Where an error that nobody expected came from. */
  stack?: string;
}

/** Reads what Nest's loggers pass: a message, then facts, errors or a stack, and the context last. */
export function toEntry(level: Level, message: unknown, params: readonly unknown[]): LogEntry {
  const last = params.at(-1);
  const context = typeof last === 'string' && !isStack(last) ? last : undefined;
  const entry: LogEntry = { at: new Date(), level, context, message: '', facts: {} };

  if (message instanceof Error) {
    entry.message = errorText(message);
    entry.stack = message.stack;
  } else {
    add(entry, message);
  }
  for (const part of context === undefined ? params : params.slice(0, -1)) add(entry, part);
  return entry;
}

/** An error in words: AggregateError has none of its own, and a cause often says more. */
export function errorText(error: Error, depth = 0): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const own = error.message || (first instanceof Error ? first.message : error.name);
  const cause = error.cause instanceof Error && depth < 3 ? errorText(error.cause, depth + 1) : '';
  return own.includes(cause) ? own : `${own} (${cause})`;
}

function add(entry: LogEntry, part: unknown): void {
  if (typeof part === 'string' && isStack(part)) {
    entry.stack = part;
  } else if (part instanceof Error) {
    entry.facts['error'] = part;
  } else if (typeof part === 'object' && part !== null) {
    for (const [name, value] of Object.entries(part)) if (isFact(value)) entry.facts[name] = value;
  } else if (part !== undefined && isFact(part)) {
    entry.message = [entry.message, String(part)].filter(Boolean).join(' ');
  }
}

function isFact(value: unknown): value is Fact {
  return value === null || value instanceof Date || value instanceof Error || SCALARS.has(typeof value);
}

function isStack(text: string): boolean {
  return /\n\s+at /.test(text);
}
