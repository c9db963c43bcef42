import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { fixed } from '../job-types/backoff.js';
import { JobType, type JobContext, type JobHandler } from '../job-types/job-type.js';
import { JobTypesModule } from '../job-types/job-types.module.js';
import { PermanentFailure, ValidationFailed } from '../jobs/job.errors.js';
import { InMemoryPlatform, runJob } from './index.js';

@Injectable()
class Scale {
  weigh(thing: string): number {
    return thing.length;
  }
}

const data = z.strictObject({ thing: z.string(), failures: z.int().default(0), for: z.int().default(0) });

@JobType({ name: 'weigh', data, example: { thing: 'apple' }, backoff: fixed('1h') })
class Weigh implements JobHandler<typeof data> {
  constructor(private readonly scale: Scale) {}

  async run(input: z.output<typeof data>, { attempt, progress, log, signal }: JobContext): Promise<unknown> {
    if (input.thing === '') throw new PermanentFailure('Nothing weighs nothing', 'NOTHING');
    log(`attempt ${attempt}`);
    if (attempt <= input.failures) throw new Error('it slipped');
    if (input.for > 0)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error())));
    progress(100, 'weighed');
    return { grams: this.scale.weigh(input.thing) };
  }
}

const providers = [Scale];

describe('runJob', () => {
  it('runs a job to its end', async () => {
    expect(await runJob(Weigh, { thing: 'apple' }, { providers })).toEqual({
      ...{ status: 'completed', result: { grams: 5 }, error: null },
      progress: { percent: 100, step: 'weighed' },
      logs: ['attempt 1'],
      attempts: [expect.objectContaining({ number: 1, outcome: 'completed' })],
    });
  });

  it('runs a sandboxed type on the loop of the test', async () => {
    @JobType({ name: 'measure', data, example: { thing: 'apple' }, sandboxed: true })
    class Measure extends Weigh {
      constructor(scale: Scale) {
        super(scale);
      }
    }

    expect(await runJob(Measure, { thing: 'pear' }, { providers })).toMatchObject({ result: { grams: 4 } });
  });

  it('takes what stands in for a provider', async () => {
    const fake = { provide: Scale, useValue: { weigh: () => 7 } };

    expect(await runJob(Weigh, { thing: 'apple' }, { providers: [fake] })).toMatchObject({
      result: { grams: 7 },
    });
  });

  it('tries again where it is told to, and waits for no back-off', async () => {
    const run = await runJob(Weigh, { thing: 'apple', failures: 2 }, { providers, options: { attempts: 3 } });

    expect(run).toMatchObject({ status: 'completed', logs: ['attempt 1', 'attempt 2', 'attempt 3'] });
    expect(run.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'completed']);
  });

  it('tells what an attempt failed with', async () => {
    expect(await runJob(Weigh, { thing: 'apple', failures: 1 }, { providers })).toMatchObject({
      status: 'failed',
      error: { code: 'HANDLER_ERROR', message: 'it slipped' },
    });
    expect(await runJob(Weigh, { thing: '' }, { providers, options: { attempts: 9 } })).toMatchObject({
      status: 'failed',
      error: { code: 'NOTHING' },
      attempts: [{ number: 1 }],
    });
  });

  it('stops at the timeout', async () => {
    expect(
      await runJob(Weigh, { thing: 'x', for: 1 }, { providers, options: { timeout: 20 } }),
    ).toMatchObject({
      status: 'failed',
      error: { code: 'TIMEOUT' },
    });
  });

  it('refuses data as a submit does', async () => {
    await expect(runJob(Weigh, { thing: 1 }, { providers })).rejects.toBeInstanceOf(ValidationFailed);
  });

  it('says what the handler needs and nobody provides', async () => {
    await expect(runJob(Weigh, { thing: 'apple' })).rejects.toThrow(/Scale/);
  });
});

describe('InMemoryPlatform', () => {
  it('runs what is due, when it is due', async () => {
    const module = JobTypesModule.register({
      types: [Weigh],
      imports: [{ module: class ScaleModule {}, providers, exports: providers }],
    });
    const platform = await InMemoryPlatform.start({ modules: [module] });
    const now = await platform.submit('weigh', { thing: 'now' });
    const later = await platform.submit('weigh', { thing: 'later' }, { delay: 60_000 });

    await platform.runDue();
    expect((await platform.job(now.id)).job.status).toBe('completed');
    expect((await platform.job(later.id)).job.status).toBe('delayed');

    platform.advance(60_000);
    await platform.runDue();
    expect((await platform.job(later.id)).job.result).toEqual({ grams: 5 });
    expect(platform.get(Scale).weigh('four')).toBe(4);
    await platform.stop();
  });
});
