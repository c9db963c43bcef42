import { Injectable, Module } from '@nestjs/common';
import {
  DataSource,
  inSettlement,
  JobType,
  PermanentFailure,
  RetryableFailure,
  type JobContext,
  type JobHandler,
} from 'job-queue-platform/extension';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { z } from 'zod';

@Injectable()
export class Arithmetic {
  /** Computes for so long without ever letting go of its loop. */
  spin(ms: number, whileTrue: () => boolean = () => true): number {
    let turns = 0;
    for (const end = performance.now() + ms; performance.now() < end && whileTrue();) turns++;
    return turns;
  }
}

@Module({ providers: [Arithmetic], exports: [Arithmetic] })
export class ArithmeticModule {}

const works = {
  spin: ({ ms, arithmetic }: Work) => ({ turned: arithmetic.spin(ms) > 0 }),
  heedful: ({ context: { signal, log }, arithmetic }: Work) => {
    log(`stopped: ${arithmetic.spin(60_000, () => !signal.aborted) > 0}`);
    signal.throwIfAborted();
  },
  waits: ({ context: { signal } }: Work) => sleep(60_000, undefined, { signal }),
  exit: () => process.exit(3),
  crash: async () => {
    setTimeout(() => {
      throw new Error('nobody catches this');
    });
    await sleep(60_000);
  },
  crashOddly: async () => {
    setTimeout(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- just what the worker must bear
      throw null;
    });
    await sleep(60_000);
  },
  memory: () => {
    for (const kept: unknown[] = []; ;) kept.push({ at: kept.length, more: {} });
  },
  report: ({ context: { progress, log, signal: _, ...values } }: Work) => {
    for (let step = 0; step <= 100; step++) progress(step, `step ${step}`);
    log('first');
    log('second');
    return values;
  },
  verbose: ({ context: { log } }: Work) => {
    try {
      log('x'.repeat(4_001));
    } catch {
      return 'caught, and in vain';
    }
  },
  permanent: () => {
    throw new PermanentFailure('never', 'NEVER');
  },
  retryable: ({ context }: Work) => {
    if (context.attempt === 1) throw new RetryableFailure('not yet', 'NOT_YET');
    return context.attempt;
  },
  plain: () => {
    throw new TypeError('what is this');
  },
  noJson: () => ({ at: new Date() }),
  settlement: () => inSettlement(async () => null),
};

interface Work {
  ms: number;
  context: JobContext;
  arithmetic: Arithmetic;
}

const data = z.strictObject({
  work: z.enum(Object.keys(works) as (keyof typeof works)[]),
  ms: z.int().default(0),
});

@JobType({ name: 'compute', queue: 'compute', data, example: { work: 'spin', ms: 10 }, sandboxed: true })
export class Compute implements JobHandler<typeof data> {
  constructor(private readonly arithmetic: Arithmetic) {}

  async run({ work, ms }: z.output<typeof data>, context: JobContext): Promise<unknown> {
    const result: unknown = await works[work]({ ms, context, arithmetic: this.arithmetic });
    return { threadId, result: result ?? null };
  }
}

const nothing = z.strictObject({});

/** Asks for what no thread has. */
@JobType({ name: 'misplaced', queue: 'broken', data: nothing, example: {}, attempts: 1, sandboxed: true })
export class Misplaced implements JobHandler<typeof nothing> {
  constructor(private readonly database: DataSource) {}

  async run(): Promise<unknown> {
    return this.database.query('SELECT 1');
  }
}
