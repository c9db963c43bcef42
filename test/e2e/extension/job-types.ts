import { fixed, inSettlement, JobType, type JobContext, type JobHandler } from 'job-queue-platform/extension';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Ledger } from './ledger.js';

const effect = z.strictObject({
  key: z.string().min(1).max(200),
  /** ms of work before the effect; ended by the signal. */
  holdMs: z.int().min(0).max(120_000).optional(),
});

/** Writes one line into the ledger. */
@JobType({
  name: 'record_effect',
  description: 'Writes one line into the ledger.',
  data: effect,
  example: { key: 'invoice 7' },
})
export class RecordEffect implements JobHandler<typeof effect> {
  constructor(private readonly ledger: Ledger) {}

  async run(
    { key, holdMs = 0 }: z.output<typeof effect>,
    context: JobContext,
  ): Promise<{ recorded: string }> {
    if (holdMs > 0) await sleep(holdMs, undefined, { signal: context.signal });
    await this.ledger.record(key, context);
    return { recorded: key };
  }
}

/** The same in a queue of its own, so that a test can fill it. */
@JobType({ name: 'record_in_line', queue: 'line', data: effect, example: { key: 'invoice 8' } })
export class RecordInLine extends RecordEffect {
  // Nest reads a constructor's types from the class itself.
  constructor(ledger: Ledger) {
    super(ledger);
  }
}

const once = z.strictObject({ key: z.string().min(1).max(200), fail: z.boolean().default(false) });

/** Writes its line in the transaction that settles the attempt. */
@JobType({
  name: 'record_once',
  data: once,
  example: { key: 'invoice 9' },
  attempts: 2,
  backoff: fixed('100ms'),
})
export class RecordOnce implements JobHandler<typeof once> {
  async run({ key, fail }: z.output<typeof once>, { jobId, attempt }: JobContext): Promise<unknown> {
    return inSettlement(async (manager) => {
      await manager.query('INSERT INTO effects (key, job_id, attempt, pid) VALUES ($1, $2, $3, $4)', [
        key,
        jobId,
        attempt,
        process.pid,
      ]);
      if (fail && attempt === 1) throw new Error('after the effect');
      return { recorded: key };
    });
  }
}

const stubbornness = z.strictObject({ key: z.string(), ignoreMs: z.int().min(0).max(120_000) });

/** Does its work to the end, whatever its signal says. */
@JobType({ name: 'stubborn', data: stubbornness, example: { key: 'mule', ignoreMs: 100 } })
export class Stubborn implements JobHandler<typeof stubbornness> {
  constructor(private readonly ledger: Ledger) {}

  async run({ key, ignoreMs }: z.output<typeof stubbornness>, context: JobContext): Promise<void> {
    await sleep(ignoreMs);
    await this.ledger.record(key, context);
  }
}

const failure = z.strictObject({ message: z.string() });

/** Fails, every time. */
@JobType({
  name: 'always_fails',
  data: failure,
  example: { message: 'no' },
  attempts: 2,
  backoff: fixed('100ms'),
})
export class AlwaysFails implements JobHandler<typeof failure> {
  async run({ message }: z.output<typeof failure>): Promise<never> {
    throw new Error(message);
  }
}

const login = z.strictObject({ user: z.string(), password: z.string().meta({ sensitive: true }) });

/** Gets the password, which nobody else may see. */
@JobType({ name: 'log_in', data: login, example: { user: 'ada', password: 'example' } })
export class LogIn implements JobHandler<typeof login> {
  async run({ password }: z.output<typeof login>): Promise<{ length: number }> {
    return { length: password.length };
  }
}
