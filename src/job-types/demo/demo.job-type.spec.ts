import type { JobContext } from '../job-type.js';
import { JobTypeRegistry } from '../job-type-registry.js';
import { Demo } from './demo.job-type.js';

const definition = new JobTypeRegistry([Demo]).get('demo');

function setup(given: Partial<JobContext> = {}) {
  const reports: unknown[] = [];
  const context: JobContext = {
    jobId: '0192f3a4-5b6c-7d8e-9f00-112233445566',
    tenant: 'default',
    run: 1,
    attempt: 1,
    attempts: 3,
    signal: new AbortController().signal,
    progress: (percent, step) => void reports.push([percent, step]),
    log: (line) => void reports.push(line),
    ...given,
  };
  return { demo: new Demo(), context, reports };
}

it('does nothing and returns null when it is told nothing', async () => {
  const { demo, context, reports } = setup();

  expect(await demo.run({ durationMs: 0 }, context)).toBeNull();
  expect(reports).toEqual([]);
});

it.each([{ answer: 42 }, [1, null], 'text', false, 0, null])(
  'returns what it is given: %j',
  async (result) => {
    const { demo, context } = setup();

    expect(await demo.run({ durationMs: 0, result }, context)).toBe(result);
  },
);

it('waits as long as it is told', async () => {
  const { demo, context } = setup();
  const start = performance.now();

  await demo.run({ durationMs: 60 }, context);

  expect(performance.now() - start).toBeGreaterThanOrEqual(58);
});

it('divides its time over the steps, and reports each', async () => {
  const { demo, context, reports } = setup();
  const start = performance.now();

  await demo.run({ durationMs: 60, steps: 3 }, context);

  expect(performance.now() - start).toBeGreaterThanOrEqual(56);
  expect(reports).toEqual([
    [33, 'step 1 of 3'],
    'step 1 of 3 done',
    [67, 'step 2 of 3'],
    'step 2 of 3 done',
    [100, 'step 3 of 3'],
    'step 3 of 3 done',
  ]);
});

it('fails its first attempts, and then succeeds', async () => {
  const attempt = (number: number) => {
    const { demo, context } = setup({ attempt: number });
    return demo.run({ durationMs: 0, failAttempts: 2, result: 'done' }, context);
  };

  await expect(attempt(1)).rejects.toThrow('demo failure 1 of 2');
  await expect(attempt(2)).rejects.toThrow('demo failure 2 of 2');
  expect(await attempt(3)).toBe('done');
});

it.each([{}, { steps: 5 }])('ends with the reason of its signal while it waits (%j)', async (steps) => {
  const controller = new AbortController();
  const { demo, context } = setup({ signal: controller.signal });
  const reason = new Error('shutdown');

  const running = demo.run({ durationMs: 600_000, ...steps }, context);
  setTimeout(() => controller.abort(reason), 10);

  await expect(running).rejects.toBe(reason);
});

it('does not start once its signal is aborted', async () => {
  const reason = new Error('shutdown');
  const { demo, context, reports } = setup({ signal: AbortSignal.abort(reason) });

  await expect(demo.run({ durationMs: 0, steps: 2 }, context)).rejects.toBe(reason);
  expect(reports).toEqual([]);
});

it('may run as long as its schema allows', () => {
  expect(definition.defaults.timeout).toBeGreaterThan(600_000);
});

it.each([
  ['data.durationMs', {}],
  ['data.durationMs', { durationMs: -1 }],
  ['data.durationMs', { durationMs: 600_001 }],
  ['data.durationMs', { durationMs: 1.5 }],
  ['data.steps', { durationMs: 0, steps: 0 }],
  ['data.steps', { durationMs: 0, steps: 101 }],
  ['data.failAttempts', { durationMs: 0, failAttempts: 101 }],
  ['data.speed', { durationMs: 0, speed: 1 }],
])('refuses %s in %j', (path, data) => {
  expect(() => definition.check(data)).toThrow(
    expect.objectContaining({ errors: [expect.objectContaining({ path })] }),
  );
});
