import { z } from 'zod';
import type { JobTypeOptions } from './job-type.js';
import { JobTypeDefinition } from './job-type-definition.js';

const data = z.strictObject({
  url: z.url(),
  retries: z.int().default(3),
  headers: z.strictObject({ token: z.string().meta({ sensitive: true }) }).optional(),
});

function define(options: Partial<JobTypeOptions> = {}): JobTypeDefinition {
  return new JobTypeDefinition({
    name: 'fetch_page',
    data,
    example: { url: 'https://example.com' },
    ...options,
  });
}

function violations(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { errors?: unknown }).errors;
  }
  return undefined;
}

describe('a declaration', () => {
  it('gets the defaults that it does not give itself', () => {
    expect(define()).toMatchObject({
      name: 'fetch_page',
      description: '',
      queue: 'default',
      example: { url: 'https://example.com' },
      defaults: {
        priority: 100,
        attempts: 3,
        backoff: { kind: 'exponential', delay: 1_000, cap: 3_600_000 },
        timeout: 300_000,
      },
    });
  });

  it('becomes the JSON Schema of what clients send', () => {
    expect(define().jsonSchema).toMatchObject({
      type: 'object',
      required: ['url'],
      additionalProperties: false,
      properties: { url: { type: 'string', format: 'uri' }, retries: { type: 'integer', default: 3 } },
    });
  });

  it.each<[string, Partial<JobTypeOptions>, string]>([
    [
      'a name that is not snake_case',
      { name: 'fetchPage' },
      'Job type "fetchPage": the name must be snake_case',
    ],
    ['no name', { name: '' }, 'the name must be snake_case'],
    ['a name that is too long', { name: 'a'.repeat(64) }, 'the name must be snake_case'],
    ['a queue that is not snake_case', { queue: 'my:queue' }, 'queue "my:queue" must be snake_case'],
    ['no attempts', { attempts: 0 }, 'attempts must be 1 to 100'],
    ['too many attempts', { attempts: 101 }, 'attempts must be 1 to 100'],
    ['half an attempt', { attempts: 1.5 }, 'attempts must be 1 to 100'],
    ['no time', { timeout: 0 }, 'the timeout must be 1 ms to 24 days'],
    ['more time than a timer can wait', { timeout: '25d' }, 'the timeout must be 1 ms to 24 days'],
    [
      'an example that is not valid',
      { example: { url: 'x' } },
      'Job type "fetch_page": the example cannot be used: data.url',
    ],
    [
      'an example that cannot be kept',
      { data: z.unknown(), example: { n: 2 ** 53 } },
      'the example cannot be used: data.n',
    ],
    [
      'a schema without a JSON Schema',
      { data: z.date(), example: 1 },
      'Job type "fetch_page": the schema cannot be used',
    ],
  ])('stops the boot with %s', (_case, options, message) => {
    expect(() => define(options)).toThrow(message);
  });
});

describe('data', () => {
  it('comes back as the very value that was sent, without defaults or conversions', () => {
    const sent = { url: 'https://example.com' };

    expect(define().check(sent)).toBe(sent);
    expect(sent).toEqual({ url: 'https://example.com' });
  });

  it('reaches the handler as the output of the schema', () => {
    expect(define().parse({ url: 'https://example.com' })).toEqual({
      url: 'https://example.com',
      retries: 3,
    });
  });

  it.each([
    ['a field that is wrong', { url: 'x' }, ['data.url']],
    ['every field that is wrong', { url: 'x', retries: 'many' }, ['data.url', 'data.retries']],
    ['a field that is missing', {}, ['data.url']],
    ['a field that is not known', { url: 'https://example.com', a: 1, b: 2 }, ['data.a', 'data.b']],
    [
      'a field that is not known, inside',
      { url: 'https://example.com', headers: { token: 'x', a: 1 } },
      ['data.headers.a'],
    ],
    ['the whole, when it is no object', null, ['data']],
    ['the whole, when there is none', undefined, ['data']],
  ])('is refused by naming %s', (_case, sent, paths) => {
    expect(violations(() => define().check(sent))).toEqual(
      paths.map((path) => ({ path, message: expect.any(String) })),
    );
  });

  it('is refused when it cannot be kept, before the schema sees it', () => {
    const parsed = jest.fn(() => true);
    const definition = define({ data: z.unknown().refine(parsed), example: null });

    expect(violations(() => definition.check({ text: 'a\u0000' }))).toMatchObject([{ path: 'data.text' }]);
    expect(parsed).not.toHaveBeenCalledWith({ text: 'a\u0000' });
  });

  it('is shown to people without what is sensitive', () => {
    const sent = { url: 'https://example.com', headers: { token: 'hunter2' } };

    expect(define().display(sent)).toEqual({ url: 'https://example.com', headers: { token: '***' } });
  });
});

describe('what a submit asks for', () => {
  const limited = () =>
    define({ attempts: 2, timeout: '10s', limits: { attempts: 5, timeout: '1m', priority: 50 } });

  it('stands in the place of the defaults', () => {
    expect(limited().options({ attempts: 5, timeout: 60_000, priority: 50 })).toEqual({
      attempts: 5,
      timeout: 60_000,
      priority: 50,
      backoff: { kind: 'exponential', delay: 1_000, cap: 3_600_000 },
    });
    expect(limited().options({ attempts: undefined })).toEqual(limited().defaults);
  });

  it('is refused past the limits of the type, each option by its name', () => {
    expect(violations(() => limited().options({ attempts: 6, timeout: 60_001, priority: 49 }))).toEqual([
      { path: 'options.attempts', message: 'must be at most 5 for fetch_page' },
      { path: 'options.timeout', message: 'must be at most 60000 ms for fetch_page' },
      { path: 'options.priority', message: 'must be at least 50 for fetch_page' },
    ]);
  });

  it('is bounded by the platform where the type says nothing', () => {
    expect(define().limits).toEqual({ attempts: 100, timeout: 86_400_000, priority: 0 });
    expect(define({ timeout: '2d' }).limits.timeout).toBe(172_800_000);
  });

  it.each<[Partial<JobTypeOptions>, string]>([
    [
      { attempts: 3, limits: { attempts: 2 } },
      'its own default breaks its limits: options.attempts must be at most 2',
    ],
    [
      { limits: { priority: 101 } },
      'its own default breaks its limits: options.priority must be at least 101',
    ],
    [{ limits: { attempts: 101 } }, 'limits: attempts must be 1 to 100'],
    [{ limits: { timeout: '25d' } }, 'limits: the timeout must be 1 ms to 24 days'],
  ])('stops the boot with limits that make no sense: %j', (options, message) => {
    expect(() => define(options)).toThrow(message);
  });
});

describe('retention', () => {
  it('is said for all that ends, or by how it ends', () => {
    const day = 86_400_000;

    expect(define().retention).toEqual({});
    expect(define({ retention: '1d' }).retention).toEqual({ completed: day, failed: day, cancelled: day });
    expect(define({ retention: { completed: '1h', failed: '90d' } }).retention).toEqual({
      completed: 3_600_000,
      failed: 90 * day,
    });
  });

  it.each<JobTypeOptions['retention']>(['59m', { failed: '3651d' }])(
    'stops the boot with %j',
    (retention) => {
      expect(() => define({ retention })).toThrow('the retention must be 1 hour to 10 years');
    },
  );
});
