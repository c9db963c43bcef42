import { gzipSync } from 'node:zlib';
import {
  type Answer,
  canonical,
  type JobView,
  startPlatform,
  type TestPlatform,
} from '../support/platform.js';

interface Problem {
  status: number;
  code: string;
  detail: string;
  errors?: { path: string; message: string }[];
}

/** What is sent, and what the refusal says: the code and, of a validation, the place. */
interface Refusal {
  method?: string;
  path?: string;
  body?: unknown;
  headers?: Record<string, string>;
  status: number;
  code?: string;
  place?: string;
}

const DEMO = '"type":"demo","data":{"durationMs":0}';
const EMAIL = { to: 'ada@example.com', subject: 'Hello', body: 'Hi' };
const INVALID = { status: 400, code: 'VALIDATION_FAILED' };
const MALFORMED = { status: 400, code: 'MALFORMED_JSON' };
const DANGEROUS = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf', 'then', 'toJSON'];

describe('bad input', () => {
  let platform: TestPlatform;
  let running: string[];

  beforeAll(async () => {
    platform = await startPlatform();
    running = [...platform.apis.map(({ process }) => process), ...platform.workers].map(({ pid }) =>
      String(pid),
    );
  });
  afterAll(() => platform?.stop());

  /** An array nested so deep, as text. */
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const withResult = (json: string) => `{"type":"demo","data":{"durationMs":0,"result":${json}}}`;
  const withOptions = (json: string) => `{${DEMO},"options":${json}}`;
  const email = (change: object) => ({ type: 'send_email', data: { ...EMAIL, ...change } });

  const request = (change: object) => ({
    type: 'http_request',
    data: { method: 'GET', url: 'https://api.example.com/', ...change },
  });
  const withHeader = (json: string) =>
    `{"type":"http_request","data":{"method":"GET","url":"https://api.example.com/","headers":{${json}}}}`;

  const envelopes: [string, Refusal][] = [
    ['an unknown type', { body: { type: 'unheard_of', data: {} }, ...INVALID, place: 'type' }],
    ...DANGEROUS.map((type): [string, Refusal] => [
      `the type ${type}`,
      { body: { type, data: {} }, ...INVALID, place: 'type' },
    ]),
    ['a type with \\u0000', { body: '{"type":"de\\u0000mo","data":{}}', ...INVALID, place: 'type' }],
    [
      'a type of 100,000 characters',
      { body: { type: 'a'.repeat(1e5), data: {} }, ...INVALID, place: 'type' },
    ],
    ['a type that is no text', { body: { type: ['demo'], data: {} }, ...INVALID, place: 'type' }],
    ['no type', { body: { data: {} }, ...INVALID, place: 'type' }],
    ['no data', { body: { type: 'demo' }, ...INVALID, place: 'data' }],
    ['an unknown field', { body: `{${DEMO},"extra":1}`, ...INVALID, place: 'extra' }],
    ['the tenant as a field', { body: `{${DEMO},"tenant":"other"}`, ...INVALID, place: 'tenant' }],
    ...DANGEROUS.map((key): [string, Refusal] => [
      `the field ${key}`,
      { body: `{${DEMO},"${key}":{"type":"x"}}`, ...INVALID, place: key },
    ]),
    ...['null', '[]', '"text"', '7', 'true', '[{"type":"demo"}]'].map((body): [string, Refusal] => [
      `the body ${body}`,
      { body, status: 400 },
    ]),
    ['no body', { body: undefined, status: 400 }],
    ['an empty body', { body: '', status: 400 }],
  ];

  const data: [string, Refusal][] = [
    ['a wrong field', { body: email({ to: 'nobody' }), ...INVALID, place: 'data.to' }],
    ['a missing field', { body: email({ subject: undefined }), ...INVALID, place: 'data.subject' }],
    ['a field too long', { body: email({ subject: 's'.repeat(201) }), ...INVALID, place: 'data.subject' }],
    [
      'a line break in a header',
      { body: email({ subject: 'a\r\nBcc: b' }), ...INVALID, place: 'data.subject' },
    ],
    ['an unknown field', { body: email({ cc: 'x' }), ...INVALID, place: 'data.cc' }],
    ...DANGEROUS.map((key): [string, Refusal] => [
      `the field ${key}`,
      {
        body: `{"type":"send_email","data":{"to":"a@b.cd","subject":"s","body":"b","${key}":{"to":"x"}}}`,
        ...INVALID,
        place: `data.${key}`,
      },
    ]),
    ...['null', '[]', '"text"', '7'].map((value): [string, Refusal] => [
      value,
      { body: `{"type":"send_email","data":${value}}`, ...INVALID, place: 'data' },
    ]),
    ['a URL of another protocol', { body: request({ url: 'file:///a' }), ...INVALID, place: 'data.url' }],
    ['a header of two lines', { body: withHeader('"X":"a\\r\\nB: c"'), ...INVALID, place: 'data.headers.X' }],
    [
      'a header that the connection sets',
      { body: withHeader('"Host":"x"'), ...INVALID, place: 'data.headers.Host' },
    ],
    [
      'a header named __proto__',
      { body: withHeader('"__proto__":"x"'), ...INVALID, place: 'data.headers.__proto__' },
    ],
    ['\\u0000 in a string', { body: email({ body: 'a\u0000b' }), ...INVALID, place: 'data.body' }],
    ['\\u0000 in a key', { body: withResult('{"a\\u0000":1}'), ...INVALID, place: 'data.result.a\\u0000' }],
    ['a lone surrogate', { body: withResult('{"a":["\\ud800"]}'), ...INVALID, place: 'data.result.a.0' }],
    [
      'a lone surrogate in a key',
      { body: withResult('{"\\udc00":1}'), ...INVALID, place: 'data.result.\ufffd' },
    ],
    ['2^60', { body: withResult('{"n":1152921504606846976}'), ...INVALID, place: 'data.result.n' }],
    ['2^53', { body: withResult('9007199254740992'), ...INVALID, place: 'data.result' }],
    ['1e400', { body: withResult('[1,1e400]'), ...INVALID, place: 'data.result.1' }],
    ['-1e400', { body: withResult('-1e400'), ...INVALID, place: 'data.result' }],
    ['1e300', { body: withResult('1e300'), ...INVALID, place: 'data.result' }],
    ['nesting 65 deep', { body: withResult(nested(65)), ...INVALID }],
    ['nesting 10,000 deep', { body: withResult(nested(10_000)), ...INVALID }],
    ['nesting 100,000 deep', { body: withResult(nested(100_000)), status: 400 }],
    ['objects 10,000 deep', { body: withResult('{"a":'.repeat(1e4) + '1' + '}'.repeat(1e4)), ...INVALID }],
    [
      'nesting in the envelope',
      { body: `{${DEMO},"options":${nested(10_000)}}`, ...INVALID, place: 'options' },
    ],
    [
      '10,000 unknown fields',
      {
        body: email(Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`x${n}`, 1]))),
        ...INVALID,
        place: 'data.x0',
      },
    ],
  ];

  const options: [string, Refusal][] = [
    ...['{"extra":1}', ...DANGEROUS.map((key) => `{"${key}":{"priority":1}}`)].map(
      (json): [string, Refusal] => [
        json,
        {
          body: withOptions(json),
          ...INVALID,
          place: `options.${Object.keys(JSON.parse(json) as object)[0]}`,
        },
      ],
    ),
    ...[
      '{"priority":-1}',
      '{"priority":1001}',
      '{"priority":1.5}',
      '{"priority":"1"}',
      '{"priority":null}',
      '{"priority":1e400}',
      '{"attempts":0}',
      '{"attempts":101}',
      '{"delay":-1}',
      '{"delay":1e15}',
      '{"timeout":0}',
      '{"timeout":true}',
      '{"runAt":"tomorrow"}',
      '{"runAt":"2026-02-30T00:00:00Z"}',
      '{"runAt":"2030-01-01T00:00:00"}',
      '{"runAt":"9999-01-01T00:00:00Z"}',
      '{"runAt":1}',
      '{"backoff":7}',
      '{"backoff":[]}',
    ].map((json): [string, Refusal] => [
      json,
      { body: withOptions(json), ...INVALID, place: `options.${Object.keys(JSON.parse(json) as object)[0]}` },
    ]),
    ...(
      [
        ['{"delay":1,"runAt":"2030-01-01T00:00:00Z"}', 'options.runAt'],
        ['{"runAt":"2030-01-01T00:00:00Z","expiresAt":"2029-12-31T00:00:00Z"}', 'options.expiresAt'],
        ['{"onDuplicate":"return"}', 'options.onDuplicate'],
      ] as const
    ).map(([json, place]): [string, Refusal] => [
      `options that contradict each other: ${json}`,
      { body: withOptions(json), status: 422, code: 'CONTRADICTORY_OPTIONS', place },
    ]),
    [
      'an unknown kind of back-off',
      {
        body: withOptions('{"backoff":{"kind":"linear","delay":1}}'),
        ...INVALID,
        place: 'options.backoff.kind',
      },
    ],
    [
      'an unknown field of the back-off',
      {
        body: withOptions('{"backoff":{"kind":"fixed","delay":1,"__proto__":1}}'),
        ...INVALID,
        place: 'options.backoff.__proto__',
      },
    ],
    ['null', { body: withOptions('null'), ...INVALID, place: 'options' }],
  ];

  const bulk: [string, Refusal][] = [
    ['an empty list', { body: { jobs: [] }, ...INVALID, place: 'jobs' }],
    ['no list', { body: { jobs: {} }, ...INVALID, place: 'jobs' }],
    ['nothing', { body: {}, ...INVALID, place: 'jobs' }],
    [
      '1,001 jobs',
      { body: { jobs: Array(1_001).fill({ type: 'demo', data: {} }) }, ...INVALID, place: 'jobs' },
    ],
    ['an item that is no object', { body: { jobs: [null] }, ...INVALID, place: 'jobs.0' }],
    [
      'one wrong job among good ones',
      { body: { jobs: [email({}), email({ to: '' }), email({})] }, ...INVALID, place: 'jobs.1.data.to' },
    ],
    [
      '__proto__ in an item',
      { body: `{"jobs":[{${DEMO},"__proto__":{}}]}`, ...INVALID, place: 'jobs.0.__proto__' },
    ],
  ];

  const queries: [string, Refusal][] = [
    ...(
      [
        ['limit=0', 'limit'],
        ['limit=10000', 'limit'],
        ['limit=-1', 'limit'],
        ['limit=1.5', 'limit'],
        ['limit=ten', 'limit'],
        ['limit=', 'limit'],
        ['limit=1&limit=2', 'limit'],
        ['limit[]=1', 'limit[]'],
        ['cursor=x', 'cursor'],
        ['cursor=', 'cursor'],
        [`cursor=${Buffer.from('1.logs.7').toString('base64url')}`, 'cursor'],
        [`cursor=${Buffer.from("1.jobs.' OR 1=1").toString('base64url')}`, 'cursor'],
        [`cursor=${'A'.repeat(4_000)}`, 'cursor'],
        ['createdFrom=2026-02-30', 'createdFrom'],
        ['createdFrom=yesterday', 'createdFrom'],
        ['createdTo=2026-01-01T00:00:00', 'createdTo'],
        ['createdTo=1767225600', 'createdTo'],
        ['createdTo=1900-01-01', 'createdTo'],
        ['status=done', 'status'],
        ['status=completed&status=', 'status'],
        ['type=NOPE', 'type'],
        ['type=%00', 'type'],
        ['queue=a%20b', 'queue'],
        ['queue=a&queue=b', 'queue'],
        ['offset=10', 'offset'],
        ['__proto__=1', '__proto__'],
        ['__proto__[limit]=1', '__proto__[limit]'],
        ['constructor=1', 'constructor'],
      ] as const
    ).map(([query, place]): [string, Refusal] => [
      query,
      { method: 'GET', path: `/jobs?${query}`, ...INVALID, place },
    ]),
  ];

  const paths: [string, Refusal][] = [
    ['GET /jobs/abc', { method: 'GET', path: '/jobs/abc', ...INVALID, place: 'id' }],
    ['GET /jobs/%00', { method: 'GET', path: '/jobs/%00', ...INVALID, place: 'id' }],
    ['GET /jobs/%ZZ', { method: 'GET', path: '/jobs/%ZZ', status: 400 }],
    ['GET /jobs/abc/logs', { method: 'GET', path: '/jobs/abc/logs', ...INVALID, place: 'id' }],
    ['POST /jobs/abc/retry', { path: '/jobs/abc/retry', ...INVALID, place: 'id' }],
    [
      'an id with a line behind it',
      { method: 'GET', path: '/jobs/019a5f3e-7c00-7000-8000-00000000dead%0A', ...INVALID, place: 'id' },
    ],
    ...(
      [
        ['GET', ''],
        ['GET', '/logs'],
        ['POST', '/retry'],
      ] as const
    ).map(([method, path]): [string, Refusal] => [
      `${method} of an id that nobody has${path}`,
      {
        method,
        path: `/jobs/019a5f3e-7c00-7000-8000-00000000dead${path}`,
        status: 404,
        code: 'JOB_NOT_FOUND',
      },
    ]),
    [
      'the least uuid',
      { method: 'GET', path: `/jobs/${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}`, status: 404 },
    ],
    ...DANGEROUS.map((type): [string, Refusal] => [
      `GET /job-types/${type}`,
      { method: 'GET', path: `/job-types/${type}`, status: 404, code: 'JOB_TYPE_NOT_FOUND' },
    ]),
    ['a path that is not there', { method: 'GET', path: '/__proto__', status: 404, code: 'NOT_FOUND' }],
    ['DELETE /jobs', { method: 'DELETE', path: '/jobs', status: 405, code: 'METHOD_NOT_ALLOWED' }],
    ['GET /jobs/bulk', { method: 'GET', path: '/jobs/bulk', status: 405, code: 'METHOD_NOT_ALLOWED' }],
    ['a very long URL', { method: 'GET', path: `/jobs?cursor=${'a'.repeat(20_000)}`, status: 431 }],
  ];

  const gzip = { 'Content-Encoding': 'gzip' };
  const bodies: [string, Refusal][] = [
    ['2 MB', { body: email({ body: 'x'.repeat(2e6) }), status: 413, code: 'PAYLOAD_TOO_LARGE' }],
    [
      '2 MB in few bytes',
      { body: gzipSync(JSON.stringify(email({ body: 'x'.repeat(2e6) }))), headers: gzip, status: 413 },
    ],
    ['gzip that is none', { body: 'no gzip', headers: gzip, status: 400 }],
    ['an unknown encoding', { body: '{}', headers: { 'Content-Encoding': 'rot13' }, status: 415 }],
    ['plain text', { body: `{${DEMO}}`, headers: { 'Content-Type': 'text/plain' }, status: 415 }],
    [
      'a form',
      { body: 'type=demo', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, status: 415 },
    ],
    [
      'another charset',
      { body: `{${DEMO}}`, headers: { 'Content-Type': 'application/json; charset=utf-16' }, status: 415 },
    ],
    ['bytes that are not UTF-8', { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), ...MALFORMED }],
    ...[
      '{',
      `{${DEMO}`,
      `{${DEMO},}`,
      "{'type':'demo'}",
      'undefined',
      'NaN',
      `{${DEMO}}}`,
      '{"a":01}',
      '"\t"',
    ].map((body): [string, Refusal] => [body, { body, ...MALFORMED }]),
    ['a byte order mark only', { body: '\ufeff', status: 400 }],
  ];

  const keys = ['', '""', '"open', 'a b', '"a", "b"', '"a";b=1', 'x'.repeat(256), 'clé'].map(
    (key): [string, Refusal] => [
      JSON.stringify(key),
      { body: `{${DEMO}}`, headers: { 'Idempotency-Key': key }, ...INVALID, place: 'Idempotency-Key' },
    ],
  );

  const SCHEDULE = { cron: '0 9 * * *', type: 'demo', data: { durationMs: 0 } };
  const withSchedule = (change: object) => ({ method: 'PUT', body: { ...SCHEDULE, ...change } });
  const unusable = { status: 422, code: 'INVALID_SCHEDULE' };
  const scheduleRefusals: [string, Refusal][] = [
    ...['Upper', '-a', '..%2Fa', 'a%00', 'a%20b', 'é', 'a'.repeat(101), '__proto__'].map(
      (name): [string, Refusal] => [
        `the name ${name}`,
        { ...withSchedule({}), path: `/schedules/${name}`, ...INVALID, place: 'name' },
      ],
    ),
    ...[
      ...['', '* * * *', '* * * * * * *', 'a\u0000 * * * *', '\ud800 * * * *', '@daily', '?'.repeat(101)],
      ...['* * * * *\n', `${'1,'.repeat(60)}1 * * * *`, null, 7, ['* * * * *'], { length: 9 }],
    ].map((cron): [string, Refusal] => [
      `the cron ${JSON.stringify(cron)}`,
      { ...withSchedule({ cron }), ...INVALID, place: 'cron' },
    ]),
    ...[
      '60 * * * *',
      '0 0 31 2 *',
      '1-0 * * * *',
      '*/0 * * * *',
      '0 0 * * 9',
      '0 0 ABC * *',
      '0 0 32 * *',
    ].map((cron): [string, Refusal] => [
      `the cron ${cron}`,
      { ...withSchedule({ cron }), ...unusable, place: 'cron' },
    ]),
    ...['soon', '15', '-1m', '1e3s', '9'.repeat(12) + 'd', -1, 0.5, 2 ** 53, null, {}].map(
      (every): [string, Refusal] => [
        `the interval ${JSON.stringify(every)}`,
        { ...withSchedule({ cron: undefined, every }), ...INVALID, place: 'every' },
      ],
    ),
    ...['999ms', '367d', '99999999999d', 0].map((every): [string, Refusal] => [
      `the interval ${JSON.stringify(every)}`,
      { ...withSchedule({ cron: undefined, every }), ...unusable, place: 'every' },
    ]),
    ...['', '+01:00', 'Europe/Ber lin', 'a\u0000', 'x'.repeat(65), null, 1].map(
      (timezone): [string, Refusal] => [
        `the time zone ${JSON.stringify(timezone)}`,
        { ...withSchedule({ timezone }), ...INVALID, place: 'timezone' },
      ],
    ),
    [
      'an unknown time zone',
      { ...withSchedule({ timezone: 'Mars/Olympus' }), ...unusable, place: 'timezone' },
    ],
    ['neither cron nor every', { ...withSchedule({ cron: undefined }), ...unusable, place: 'cron' }],
    ['both', { ...withSchedule({ every: '1h' }), ...unusable, place: 'every' }],
    ['an unknown field', { ...withSchedule({ tenant: 'other' }), ...INVALID, place: 'tenant' }],
    [
      'a dedupe key',
      { ...withSchedule({ options: { dedupeKey: 'k' } }), ...INVALID, place: 'options.dedupeKey' },
    ],
    ['a pause that is no boolean', { ...withSchedule({ paused: 'yes' }), ...INVALID, place: 'paused' }],
    ['no data', { ...withSchedule({ data: undefined }), ...INVALID, place: 'data' }],
    [
      '\\u0000 in its data',
      { ...withSchedule({ data: { durationMs: 0, result: 'a\u0000' } }), ...unusable, place: 'data.result' },
    ],
    [
      'a lone surrogate in its data',
      { ...withSchedule({ data: { durationMs: 0, result: '\ud800' } }), ...unusable, place: 'data.result' },
    ],
    [
      'data of 65,537 characters',
      {
        ...withSchedule({ data: { durationMs: 0, result: 'x'.repeat(65_537) } }),
        ...unusable,
        place: 'data',
      },
    ],
    [
      'the cursor of another list',
      { method: 'GET', path: '/schedules?cursor=MS5qb2JzLmE', ...INVALID, place: 'cursor' },
    ],
    ['a limit too large', { method: 'GET', path: '/schedules?limit=201', ...INVALID, place: 'limit' }],
    ['a name that is none', { method: 'DELETE', path: '/schedules/A', ...INVALID, place: 'name' }],
    [
      'a schedule that is not there',
      { method: 'GET', path: '/schedules/absent', status: 404, code: 'SCHEDULE_NOT_FOUND' },
    ],
  ];
  const schedules = scheduleRefusals.map(([what, refusal]): [string, Refusal] => [
    what,
    { path: '/schedules/bad', ...refusal },
  ]);

  describe.each([
    ['the envelope', envelopes],
    ['the data', data],
    ['the options', options],
    ['a path', paths],
    ['a query', queries],
    ['a body', bodies],
    ['an idempotency key', keys],
    ['a schedule', schedules],
  ])('in %s', (_where, refusals) => {
    it.each(refusals)('%s is refused, and the place named', (_what, refusal) => expectRefusal(refusal));
  });

  describe('in a bulk', () => {
    it.each(bulk)('%s is refused, and the place named', (_what, refusal) =>
      expectRefusal({ path: '/jobs/bulk', ...refusal }),
    );
  });

  describe('what is only odd', () => {
    it.each([
      ...DANGEROUS.map((key) => `{"${key}":{"${key}":["${key}"]}}`),
      '{"__proto__":null,"a":{"__proto__":{"__proto__":1}}}',
      nested(61),
      '9007199254740991',
      '-9007199254740991',
      '[0.1,5e-324,1e-400,-0,1E2,123456789.123456789]',
      '""',
      '"\\ud83d\\ude00 \\uffff \\u0001 \\\\u0000"',
      '{"":{"":""}}',
      '{"a":1,"a":2}',
      '{"10":1,"9":2,"b":3,"a":4}',
      'null',
      'false',
      JSON.stringify('x'.repeat(1_000_000)),
    ])('is kept deep-equal: %.60s', async (json) => {
      const answer = await platform.request<JobView>('POST', '/jobs', withResult(json));
      expect(answer.status).toBe(202);
      const job = await platform.until(answer.body.id, 'completed');

      const sent = canonical(JSON.parse(json));
      expect(canonical((answer.body.data as { result: unknown }).result)).toBe(sent);
      expect(canonical((job.data as { result: unknown }).result)).toBe(sent);
      expect(canonical(job.result)).toBe(sent);
    });

    it('an id in capitals finds the job', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 });
      expect(await platform.job(id.toUpperCase())).toMatchObject({ id });
    });
  });

  it('300 requests with chance mutations are refused with a 4xx problem, or kept deep-equal', async () => {
    const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_124);
    const random = randomFrom(seed);
    const bodies = Array.from({ length: 300 }, () => mutant(random));
    let kept = 0;

    const verdict = async (body: string) => {
      const answer = await platform.request<JobView>('POST', '/jobs', body);
      if (answer.status !== 202) return problemIn(answer);
      kept++;
      const sent = JSON.parse(body) as { type: string; data: unknown };
      const { data, type } = await platform.job(answer.body.id);
      const same = type === sent.type && canonical(data) === canonical(sent.data);
      return same ? undefined : `changed to ${canonical(data)}`;
    };
    for (let start = 0; start < bodies.length; start += 10) {
      const batch = bodies.slice(start, start + 10);
      const verdicts = await Promise.all(batch.map(verdict));
      const faults = verdicts.flatMap((fault, index) => (fault ? [{ seed, sent: batch[index], fault }] : []));
      expect(faults).toEqual([]);
    }
    process.stdout.write(`300 mutations (seed ${seed}): ${kept} kept, ${300 - kept} refused\n`);
    expect(kept).toBeGreaterThan(20);
  });

  it('leaves the processes as they were, without an error in their logs', () => {
    const processes = [...platform.apis.map(({ process }) => process), ...platform.workers];

    expect(processes.map(({ pid }) => String(pid))).toEqual(running);
    for (const process of processes) expect(process.output()).not.toMatch(/"level":"(error|fatal)"/);
  });

  async function expectRefusal(refusal: Refusal): Promise<void> {
    const { method = 'POST', path = '/jobs', body, headers, status, code, place } = refusal;
    const answer = await platform.request<Problem>(method, path, body, headers);

    expect(problemIn(answer)).toBeUndefined();
    expect({ status: answer.status, detail: answer.body.detail }).toMatchObject({ status });
    if (code !== undefined) expect(answer.body.code).toBe(code);
    if (place !== undefined) expect(answer.body.errors?.map((error) => error.path)).toContain(place);
    expect(answer.text.length).toBeLessThan(50_000);
  }
});

/** @returns what is wrong with a refusal */
function problemIn({ status, headers, body, text }: Answer): string | undefined {
  if (status < 400 || status > 499) return `${status}: ${text}`;
  if (!headers.get('content-type')?.startsWith('application/problem+json'))
    return `no problem document: ${text}`;
  const problem = body as Problem;
  if (problem.status !== status || !problem.code || !problem.detail) return `not a whole problem: ${text}`;
  if (problem.code === 'VALIDATION_FAILED' && !problem.errors?.length) return `names no place: ${text}`;
  return undefined;
}

/** Numbers from 0 up to 1 (mulberry32): the same seed gives the same ones. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const STRANGE = [
  ...['null', 'true', '[]', '{}', '""', '0', '-0', '-1', '1.5', '1e400', '1152921504606846976', '5e-324'],
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"a\\nb"',
    '"__proto__"',
    '"demo"',
    '"2030-01-01T00:00:00Z"',
  ],
  ...[
    '{"__proto__":{}}',
    '{"constructor":1}',
    '{"":""}',
    '[[[[]]]]',
    '"x@y.zz"',
    '[null]',
    `"${'é'.repeat(300)}"`,
  ],
];
const KEYS = [
  'type',
  'data',
  'options',
  'extra',
  '__proto__',
  'constructor',
  '',
  'result',
  'priority',
  'to',
  'a.b',
];
const SEEDS = [
  {
    type: 'demo',
    data: { durationMs: 0, steps: 1, result: { a: [1, { b: 'c' }] } },
    options: { priority: 5 },
  },
  { type: 'demo', data: { durationMs: 1, failAttempts: 0, result: ['x'] } },
  { type: 'send_email', data: EMAIL, options: { delay: 3_600_000, backoff: { kind: 'fixed', delay: 1 } } },
];

/** A request for a job with one to three things changed: a value, a key, or bytes of its text. */
function mutant(random: () => number): string {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const marks: string[] = [];
  const strange = () => `@${marks.push(pick(STRANGE)) - 1}@`;

  const tree = structuredClone(pick(SEEDS)) as object;
  const changes = 1 + Math.floor(random() * 3);
  for (let change = 0; change < changes; change++) {
    const spots = objectsIn(tree).flatMap((owner) => Object.keys(owner).map((key) => [owner, key] as const));
    const [owner, key] = pick(spots) ?? [tree, 'type'];
    const kind = random();
    if (kind < 0.5) define(owner, key, strange());
    else if (kind < 0.85) define(pick(objectsIn(tree)), pick(KEYS), strange());
    else Reflect.deleteProperty(owner, key);
  }
  const text = JSON.stringify(tree).replaceAll(/"@(\d+)@"/g, (_, mark: string) => marks[Number(mark)] ?? '');
  if (random() > 0.1) return text;

  const at = Math.floor(random() * text.length);
  return text.slice(0, at) + pick(['', '"', '}', '\u0000', ',', '\\', '9', 'é']) + text.slice(at + 1);
}

/** The value itself and all objects and arrays in it. */
function objectsIn(value: object): object[] {
  const inside = Object.values(value).filter((part) => typeof part === 'object' && part !== null) as object[];
  return [value, ...inside.flatMap(objectsIn)];
}

/** Also for keys such as `__proto__`, to which an assignment would do something else. */
function define(owner: object, key: string, value: unknown): void {
  Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });
}
