import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { exponential } from '../backoff.js';
import { JobType, type JobContext, type JobHandler } from '../job-type.js';

const data = z.strictObject({
  durationMs: z.int().min(0).max(600_000),
  steps: z.int().min(1).max(100).optional(),
  failAttempts: z.int().min(0).max(100).optional(),
  result: z.unknown().optional(),
});

/** Waits as long as it is told, fails as often as it is told, and returns what it is given. */
@JobType({
  name: 'demo',
  description: 'Waits, reports its progress, and fails on demand: to try the platform out.',
  data,
  example: { durationMs: 3_000, steps: 3, failAttempts: 1, result: { answer: 42 } },
  backoff: exponential('500ms'),
  timeout: '15m',
})
export class Demo implements JobHandler<typeof data> {
  async run(
    { durationMs, steps = 0, failAttempts = 0, result = null }: z.output<typeof data>,
    context: JobContext,
  ): Promise<unknown> {
    for (let step = 1; step <= steps; step++) {
      await pause(durationMs / steps, context.signal);
      context.progress(Math.round((step / steps) * 100), `step ${step} of ${steps}`);
      context.log(`step ${step} of ${steps} done`);
    }
    if (steps === 0 && durationMs > 0) await pause(durationMs, context.signal);

    if (context.attempt <= failAttempts)
      throw new Error(`demo failure ${context.attempt} of ${failAttempts}`);
    return result;
  }
}

/** @throws the signal's reason as soon as it is aborted */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
