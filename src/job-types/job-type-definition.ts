import { z } from 'zod';
import { ValidationFailed, type Violation } from '../jobs/job.errors.js';
import type { Json, JobOptions, TerminalStatus } from '../jobs/job.js';
import { assertStorable } from '../jobs/json-value.js';
import { exponential } from './backoff.js';
import { displayCopy } from './display-copy.js';
import { toMs, type Duration } from './duration.js';
import type { JobTypeOptions } from './job-type.js';

/** JSON Schema, in the dialect that OpenAPI 3.0 takes. */
export type JsonSchema = Record<string, unknown>;

/** What a timer of Node.js can wait for, in ms: a little less than 25 days. */
const LONGEST_TIMEOUT = 24 * 86_400_000;

/** Of what a submit may ask for; the timeout in ms. `priority` is the most urgent one. */
export type Limits = Pick<JobOptions, 'attempts' | 'timeout' | 'priority'>;

const MOST_ATTEMPTS = 100;
const ONE_DAY = 86_400_000;
const LEAST_RETENTION = 3_600_000;
const MOST_RETENTION = 3_650 * ONE_DAY;

/** A job type as the whole platform sees it: the decorator's options with the defaults filled in. */
export class JobTypeDefinition {
  readonly name: string;
  readonly description: string;
  readonly queue: string;
  readonly example: Json;
  readonly defaults: JobOptions;
  readonly limits: Limits;
  /** How long its finished jobs are kept, in ms, where it says so itself. */
  readonly retention: Partial<Record<TerminalStatus, number>>;
  readonly jsonSchema: JsonSchema;
  /** Its handler runs in a thread of its own. */
  readonly sandboxed: boolean;

  readonly #data: z.ZodType;

  /** @throws Error where the declaration contradicts itself: this stops the boot */
  constructor(options: JobTypeOptions) {
    this.name = options.name;
    this.description = options.description ?? '';
    this.queue = options.queue ?? 'default';
    this.sandboxed = options.sandboxed ?? false;
    this.#data = options.data;
    this.defaults = {
      priority: 100,
      attempts: options.attempts ?? 3,
      backoff: options.backoff ?? exponential('1s'),
      timeout: toMs(options.timeout ?? '5m'),
    };
    const { attempts = MOST_ATTEMPTS, timeout, priority = 0 } = options.limits ?? {};
    const longest = timeout === undefined ? Math.max(ONE_DAY, this.defaults.timeout) : toMs(timeout);
    this.limits = { attempts, timeout: longest, priority };
    this.retention = retentionOf(options.retention);
    this.assertSound();
    this.jsonSchema = this.sound('the schema', () =>
      z.toJSONSchema(options.data, { target: 'openapi-3.0', io: 'input' }),
    );
    this.example = this.sound('the example', () => this.check(options.example));
  }

  /**
   * @returns the very value that was given, now known to be valid and storable
   * @throws ValidationFailed with paths that start with `data`
   */
  check(data: unknown): Json {
    assertStorable(data, 'data');
    this.parse(data);
    return data;
  }

  /** The schema's output for a handler. @throws ValidationFailed */
  parse(data: unknown): unknown {
    const parsed = this.#data.safeParse(data);
    if (parsed.success) return parsed.data;

    throw new ValidationFailed(parsed.error.issues.flatMap((issue) => violationsOf(issue)));
  }

  /**
   * The defaults, with what a submit asks for in their place.
   * @throws ValidationFailed with paths that start with `options`, past the type's limits
   */
  options(asked: Partial<JobOptions>): JobOptions {
    const { attempts, backoff, timeout, priority } = this.defaults;
    const options = {
      priority: asked.priority ?? priority,
      attempts: asked.attempts ?? attempts,
      backoff: asked.backoff ?? backoff,
      timeout: asked.timeout ?? timeout,
    };
    const broken = this.breaches(options);
    if (broken.length > 0) throw new ValidationFailed(broken);
    return options;
  }

  /** A short copy for people: sensitive fields masked, long ones cut. */
  display(data: Json): Json {
    return displayCopy(data, this.jsonSchema);
  }

  private assertSound(): void {
    const at = `Job type "${this.name}"`;
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(this.name)) throw new Error(`${at}: the name must be snake_case`);
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(this.queue))
      throw new Error(`${at}: queue "${this.queue}" must be snake_case`);
    for (const [what, { attempts, timeout }] of [
      ['', this.defaults],
      ['limits: ', this.limits],
    ] as const) {
      if (!Number.isInteger(attempts) || attempts < 1 || attempts > MOST_ATTEMPTS)
        throw new Error(`${at}: ${what}attempts must be 1 to ${MOST_ATTEMPTS}`);
      if (timeout < 1 || timeout > LONGEST_TIMEOUT)
        throw new Error(`${at}: ${what}the timeout must be 1 ms to 24 days`);
    }
    if (Object.values(this.retention).some((age) => age < LEAST_RETENTION || age > MOST_RETENTION))
      throw new Error(`${at}: the retention must be 1 hour to 10 years`);
    const [beyond] = this.breaches(this.defaults);
    if (beyond) throw new Error(`${at}: its own default breaks its limits: ${beyond.path} ${beyond.message}`);
  }

  private breaches({ attempts, timeout, priority }: JobOptions): Violation[] {
    const { limits, name } = this;
    const found: Violation[] = [];
    const refuse = (option: string, message: string): void => {
      found.push({ path: `options.${option}`, message: `${message} for ${name}` });
    };
    if (attempts > limits.attempts) refuse('attempts', `must be at most ${limits.attempts}`);
    if (timeout > limits.timeout) refuse('timeout', `must be at most ${limits.timeout} ms`);
    if (priority < limits.priority) refuse('priority', `must be at least ${limits.priority}`);
    return found;
  }

  /** Says which type and which part of its declaration cannot be used. */
  private sound<Part>(what: string, make: () => Part): Part {
    try {
      return make();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Job type "${this.name}": ${what} cannot be used: ${reason}`, { cause: error });
    }
  }
}

function retentionOf(given: JobTypeOptions['retention'] = {}): Partial<Record<TerminalStatus, number>> {
  const each = typeof given === 'object' ? given : { completed: given, failed: given, cancelled: given };
  const stated = Object.entries(each).filter(([, age]: [string, Duration | undefined]) => age !== undefined);
  return Object.fromEntries(stated.map(([status, age]) => [status, toMs(age)]));
}

/** An unknown key is named itself, not only the object it stands in. */
function violationsOf(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  const path = ['data', ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'this field is not known' }));
  }
  return [{ path: path.join('.'), message: issue.message }];
}
