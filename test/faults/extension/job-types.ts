import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { JobType, type JobContext, type JobHandler } from '../../../src/job-types/job-type.js';
import { inSettlement } from '../../../src/persistence/in-settlement.js';
import { Effects, INSERT } from './effects.js';
import { failpoints } from './failpoints.js';

const ms = z.int().min(0).max(600_000).default(0);

const effect = z.strictObject({
  /** Work before the effect. */
  beforeMs: ms,
  /** Work after it. */
  afterMs: ms,
  /** Works on whatever its signal says. */
  stubborn: z.boolean().default(false),
  /** The first so many attempts of a run fail, after their effect. */
  failAttempts: z.int().min(0).max(10).default(0),
  /** Shown to nobody: makes a job tell its place in a test. */
  note: z.string().max(200).default(''),
});

/** Writes one row: so runs can be counted. */
@JobType({
  name: 'effects',
  data: effect,
  example: { beforeMs: 10, afterMs: 0 },
  attempts: 5,
  backoff: { kind: 'fixed', delay: 200 },
  timeout: 120_000,
})
export class EffectsJob implements JobHandler<typeof effect> {
  constructor(private readonly effects: Effects) {}

  async run(data: z.output<typeof effect>, context: JobContext): Promise<void> {
    const signal = data.stubborn ? undefined : context.signal;
    if (data.beforeMs > 0) await sleep(data.beforeMs, undefined, { signal });
    await this.effects.write(context);
    await failpoints.pass('after-effect');
    if (data.afterMs > 0) await sleep(data.afterMs, undefined, { signal });
    if (context.attempt <= data.failAttempts) throw new Error(`attempt ${context.attempt} was to fail`);
  }
}

/** Writes its row in the transaction that settles the attempt: exactly one stays, whatever happens. */
@JobType({
  name: 'fenced_effects',
  data: effect,
  example: { beforeMs: 10, afterMs: 0 },
  attempts: 5,
  backoff: { kind: 'fixed', delay: 200 },
  timeout: 120_000,
})
export class FencedEffectsJob implements JobHandler<typeof effect> {
  async run(
    data: z.output<typeof effect>,
    { jobId, run, attempt, ...context }: JobContext,
  ): Promise<unknown> {
    const signal = data.stubborn ? undefined : context.signal;
    if (data.beforeMs > 0) await sleep(data.beforeMs, undefined, { signal });
    return inSettlement(async (manager) => {
      await manager.query(INSERT, [jobId, run, attempt, String(process.pid), randomUUID()]);
      await failpoints.pass('after-effect');
      if (data.afterMs > 0) await sleep(data.afterMs);
      if (attempt <= data.failAttempts) throw new Error(`attempt ${attempt} was to fail`);
    });
  }
}

const nothing = z.strictObject({});

/** Kills the process that runs it, every time. */
@JobType({ name: 'kills_process', data: nothing, example: {} })
export class KillsProcess implements JobHandler<typeof nothing> {
  async run(): Promise<void> {
    await sleep(20); // by then its neighbours have started
    process.kill(process.pid, 'SIGKILL');
    await sleep(1_000);
  }
}
