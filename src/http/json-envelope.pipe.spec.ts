import { ValidationFailed } from '../jobs/job.errors.js';
import { SubmitJobDto, SubmitJobsDto } from '../jobs/http/submit-job.dto.js';
import { JsonEnvelopePipe } from './json-envelope.pipe.js';

const asJob = new JsonEnvelopePipe(SubmitJobDto);
const asJobs = new JsonEnvelopePipe(SubmitJobsDto);
const json = (text: string): unknown => JSON.parse(text);

function violationsOf(read: () => unknown): Record<string, string> {
  try {
    read();
  } catch (error) {
    if (error instanceof ValidationFailed) {
      return Object.fromEntries(error.errors.map(({ path, message }) => [path, message]));
    }
    throw error;
  }
  return {};
}

describe('JsonEnvelopePipe', () => {
  it('hands data over as the very value that came in', () => {
    const data = json('{"__proto__":{"a":1},"constructor":1,"hasOwnProperty":[],"then":{"x":null}}');

    expect(asJob.transform({ type: 'a', data }).data).toBe(data);
  });

  it('takes null as data, but not its absence', () => {
    expect(asJob.transform({ type: 'a', data: null }).data).toBeNull();
    expect(violationsOf(() => asJob.transform({ type: 'a' }))).toEqual({ data: 'is required' });
  });

  it.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'id', 'tenant'])(
    'names an unknown %s',
    (key) => {
      const body = json(`{"type":"a","data":{},"${key}":1,"options":{"${key}":{}}}`);

      expect(Object.keys(violationsOf(() => asJob.transform(body)))).toEqual([key, `options.${key}`]);
    },
  );

  it.each([undefined, null, [], 'text', 1, [{ type: 'a', data: {} }]])('refuses %j for a body', (body) => {
    expect(violationsOf(() => asJob.transform(body))).toHaveProperty(['']);
  });

  it.each([
    [{ delay: -1 }, 'options.delay'],
    [{ delay: 1.5 }, 'options.delay'],
    [{ delay: '5' }, 'options.delay'],
    [{ delay: null }, 'options.delay'],
    [{ delay: 1e300 }, 'options.delay'],
    [{ runAt: 'tomorrow' }, 'options.runAt'],
    [{ runAt: '2026-02-30T00:00:00Z' }, 'options.runAt'],
    [{ runAt: '9000-01-01T00:00:00Z' }, 'options.runAt'],
    [{ expiresAt: 'soon' }, 'options.expiresAt'],
    [{ tags: [] }, 'options.tags'],
    [{ tags: 'a' }, 'options.tags'],
    [{ tags: ['a', 'a'] }, 'options.tags'],
    [{ tags: [''] }, 'options.tags'],
    [{ tags: ['a\u0000'] }, 'options.tags'],
    [{ tags: ['\ud800'] }, 'options.tags'],
    [{ tags: Array.from({ length: 21 }, (_, n) => String(n)) }, 'options.tags'],
    [{ dedupeKey: '' }, 'options.dedupeKey'],
    [{ dedupeKey: 'x'.repeat(201) }, 'options.dedupeKey'],
    [{ onDuplicate: 'ignore' }, 'options.onDuplicate'],
    [{ backoff: { kind: 'fixed', delay: 1, jitter: 1.1 } }, 'options.backoff.jitter'],
    [{ priority: 1001 }, 'options.priority'],
    [{ attempts: 0 }, 'options.attempts'],
    [{ attempts: 101 }, 'options.attempts'],
    [{ timeout: 86_400_001 }, 'options.timeout'],
    [{ backoff: 'exponential' }, 'options.backoff'],
    [{ backoff: null }, 'options.backoff'],
    [{ backoff: { kind: 'linear', delay: 1 } }, 'options.backoff.kind'],
    [{ backoff: { kind: 'fixed' } }, 'options.backoff.delay'],
    [{ backoff: { kind: 'fixed', delay: 1, base: 2 } }, 'options.backoff.base'],
    [null, 'options'],
    [[], 'options'],
  ])('refuses options %j, naming %s', (options, path) => {
    expect(Object.keys(violationsOf(() => asJob.transform({ type: 'a', data: {}, options })))).toEqual([
      path,
    ]);
  });

  it('gathers everything that is wrong in a bulk, by index', () => {
    const jobs = [
      { type: 'a', data: {} },
      { type: 7, data: {} },
      'x',
      { type: 'a', data: {}, options: { delay: -1 } },
    ];

    expect(Object.keys(violationsOf(() => asJobs.transform({ jobs })))).toEqual([
      'jobs.1.type',
      'jobs.2',
      'jobs.3.options.delay',
    ]);
  });

  it.each([[[]], [Array(1001).fill({ type: 'a', data: {} })], [{}], [null], [undefined]])(
    'refuses a bulk that is no list of 1 to 1,000',
    (jobs) => {
      expect(violationsOf(() => asJobs.transform({ jobs }))).toEqual({
        jobs: 'must be a list of 1 to 1000 items',
      });
    },
  );

  it('stays short however much is wrong', () => {
    const keys = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`${index}`.padEnd(500, '.'), 1]),
    );
    const violations = violationsOf(() => asJob.transform({ type: 'a', data: {}, ...keys }));

    expect(JSON.stringify(violations).length).toBeLessThan(20_000);
  });

  it('neither walks nor recurses into data', () => {
    const deep = json('['.repeat(10_000) + ']'.repeat(10_000));

    expect(asJob.transform({ type: 'a', data: deep }).data).toBe(deep);
    expect(violationsOf(() => asJob.transform({ type: 'a', data: 1, options: deep }))).toHaveProperty(
      'options',
    );
  });
});
