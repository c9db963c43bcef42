import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { ExpressAdapter } from '@bull-board/express';
import { BullBoardModule } from '@bull-board/nestjs';
import { Controller, Get, Module, Post, Res, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Response as ExpressResponse } from 'express';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { AppConfig } from '../../src/config/app-config.js';
import { HomeController } from '../../src/dashboard/home.controller.js';
import { mountSwagger, openApiDocument } from '../../src/dashboard/swagger.js';
import { HealthModule } from '../../src/health/health.module.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { EdgeAdapter } from '../../src/http/edge.adapter.js';
import { configureHttp } from '../../src/http/http-edge.js';
import { LoopLag } from '../../src/http/loop-lag.js';
import { SheddingModule } from '../../src/http/shedding.module.js';
import { ThrottlingModule } from '../../src/http/throttling.module.js';
import { JobTypesController } from '../../src/job-types/http/job-types.controller.js';
import { JobType } from '../../src/job-types/job-type.js';
import { JobTypeRegistry } from '../../src/job-types/job-type-registry.js';
import { GetStatsUseCase } from '../../src/stats/get-stats.use-case.js';
import { ProcessLoad } from '../../src/stats/process-load.js';
import { StatsController } from '../../src/stats/http/stats.controller.js';
import { JobsController } from '../../src/jobs/http/jobs.controller.js';
import {
  IllegalTransition,
  JobNotFound,
  JobTypeNotFound,
  QueueFull,
  RecordUnavailable,
  ValidationFailed,
} from '../../src/jobs/job.errors.js';
import { JobQueue } from '../../src/jobs/job-queue.js';
import type { Job, JobAttempt, Json } from '../../src/jobs/job.js';
import { CancelJobUseCase } from '../../src/jobs/use-cases/cancel-job.use-case.js';
import { FollowJobUseCase } from '../../src/jobs/use-cases/follow-job.use-case.js';
import { RunJobNowUseCase } from '../../src/jobs/use-cases/run-job-now.use-case.js';
import { WaitForJobUseCase } from '../../src/jobs/use-cases/wait-for-job.use-case.js';
import { GetJobLogsUseCase } from '../../src/jobs/use-cases/get-job-logs.use-case.js';
import { GetJobStatusUseCase } from '../../src/jobs/use-cases/get-job-status.use-case.js';
import { ListJobsUseCase } from '../../src/jobs/use-cases/list-jobs.use-case.js';
import { RetryJobUseCase } from '../../src/jobs/use-cases/retry-job.use-case.js';
import { SubmitJobUseCase, type SubmitJobInput } from '../../src/jobs/use-cases/submit-job.use-case.js';

const tree = z.strictObject({
  label: z.string(),
  get children() {
    return z.array(tree).optional();
  },
});

@JobType({
  name: 'send_email',
  description: 'Sends one message.',
  data: z.strictObject({
    to: z.email(),
    subject: z.string(),
    token: z.string().meta({ sensitive: true }).optional(),
  }),
  example: { to: 'ada@example.com', subject: "It's here <now>" },
  attempts: 5,
})
class SendEmail {
  async run() {}
}

@JobType({ name: 'anything', data: z.record(z.string(), z.json()), example: { n: 1 } })
class Anything {
  async run() {}
}

@JobType({ name: 'walk_tree', data: tree, example: { label: 'root', children: [{ label: 'leaf' }] } })
class WalkTree {
  async run() {}
}

const registry = new JobTypeRegistry([SendEmail, Anything, WalkTree]);
const ID = '019a5f3e-7c00-7000-8000-000000000001';
const UNKNOWN_ID = '019a5f3e-7c00-7000-8000-00000000dead';
const at = new Date('2026-11-24T09:30:00Z');

function jobOf(input: Omit<SubmitJobInput, 'tenant'>, id = ID): Job {
  const definition = registry.find(input.type);
  if (!definition) {
    throw new ValidationFailed([{ path: 'type', message: new JobTypeNotFound(input.type).message }]);
  }
  return {
    id,
    tenant: 'default',
    type: input.type,
    queue: 'default',
    shard: 3,
    delivery: 1,
    status: 'waiting',
    data: definition.check(input.data),
    options: definition.defaults,
    tags: [],
    expiresAt: null,
    dedupeKey: null,
    run: 1,
    attemptsMade: 0,
    progress: null,
    result: null,
    error: null,
    createdAt: at,
    runAt: at,
    enqueuedAt: null,
    startedAt: null,
    finishedAt: null,
  };
}

/** The edge is the same for them; what they do is tried over real stores. */
const NOT_CALLED = [CancelJobUseCase, RunJobNowUseCase, WaitForJobUseCase, FollowJobUseCase];

/** Use cases over nothing: they keep the last input, and judge data as the real ones do. */
class FakeUseCases {
  seen: unknown;
  failure: Error | undefined;

  readonly submit = {
    execute: async (input: SubmitJobInput) => this.answer(input, () => jobOf(input)),
    executeMany: async (tenant: string, jobs: Omit<SubmitJobInput, 'tenant'>[]) =>
      this.answer({ tenant, jobs }, () =>
        jobs.map((job, index) => {
          try {
            return jobOf(job);
          } catch (error) {
            throw error instanceof ValidationFailed ? error.under(`jobs.${index}`) : error;
          }
        }),
      ),
  };
  readonly status = {
    execute: async (input: { id: string }) =>
      this.answer(input, () => {
        if (input.id !== ID) throw new JobNotFound(input.id);
        return { job: jobOf({ type: 'anything', data: {} }), attempts: [attempt] };
      }),
  };
  readonly list = {
    execute: async (input: unknown) =>
      this.answer(input, () => ({ items: [jobOf({ type: 'anything', data: {} })], next: ID })),
  };
  readonly logs = {
    execute: async (input: unknown) =>
      this.answer(input, () => ({ items: [{ seq: 7, run: 1, attempt: 1, at, line: 'hello' }], next: 7 })),
  };
  readonly stats = {
    execute: async (input: unknown) =>
      this.answer(input, () => ({
        at: new Date(0),
        queues: [{ queue: 'default', waiting: 1, delayed: 2, active: 3, unpushed: 0, oldestWaiting: null }],
        drift: { lost: 1, repaired: 1, rebuilt: 1, phantom: 0, reaped: 0, quarantined: 0 },
        ...{ seconds: 3_600, types: [] },
      })),
  };
  readonly retry = {
    execute: async (input: { id: string }) =>
      this.answer(input, () => {
        throw new IllegalTransition(input.id, 'retry', 'active', ['failed', 'cancelled']);
      }),
  };

  private answer<T>(input: unknown, act: () => T): T {
    if (this.failure) throw this.failure;
    this.seen = input;
    return act();
  }
}

const attempt: JobAttempt = {
  run: 1,
  number: 1,
  worker: 'w1',
  startedAt: at,
  finishedAt: at,
  outcome: 'failed',
  error: { code: 'HANDLER_ERROR', message: 'no' },
};

/** What only goes wrong inside. */
@Controller('faulty')
class FaultyController {
  @Get('throws')
  throws(): never {
    throw new TypeError('password=hunter2');
  }

  @Get('half')
  half(@Res() response: ExpressResponse): never {
    response.status(200).write('half of it');
    throw new Error('too late');
  }

  @Post('half')
  nothing(): void {}
}

/** What the answers hold, as far as it is looked at here. */
interface Body {
  [member: string]: unknown;
  detail: string;
  instance: string;
  errors: { path: string }[];
  checks: Record<string, { status: string }>;
  items: Record<string, unknown>[];
  nextCursor: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, { oneOf: unknown[]; properties: Record<string, unknown> }>;
    securitySchemes?: Record<string, { type: string }>;
  };
}

interface Operation {
  requestBody: { content: Record<string, { schema: unknown; examples: Record<string, { value: unknown }> }> };
  responses: Record<string, { content: object }>;
}

async function bodyOf(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

interface Running {
  url: string;
  useCases: FakeUseCases;
  queue: { down: boolean };
  database: { down: boolean; pending: boolean };
  loop: LoopLag;
  close(): Promise<void>;
}

async function start(http: Partial<AppConfig['http']> = {}): Promise<Running> {
  const config = {
    http: {
      host: '127.0.0.1',
      port: 0,
      bodyLimit: 1_048_576,
      bodyTotalLimit: 67_108_864,
      corsOrigins: [],
      rateLimitPerMinute: 0,
      trustProxy: 0,
      ui: true,
      apiKeys: [],
      allowedHosts: ['jobs.example.com'],
      ...http,
    },
    submit: { maxLoopLag: 500 },
  } as unknown as AppConfig;
  const useCases = new FakeUseCases();
  const queue = { down: false };
  const database = { down: false, pending: false };
  const refuse = (down: boolean) =>
    down ? Promise.reject(new Error('connect ECONNREFUSED')) : Promise.resolve();

  const stores = [
    { provide: JobQueue, useValue: { ping: () => refuse(queue.down) } },
    {
      provide: DataSource,
      useValue: {
        options: {},
        migrations: [{ name: 'First1' }, { name: 'Second2' }],
        query: async (sql: string) => {
          await refuse(database.down);
          if (!sql.includes('migrations')) return [];
          return database.pending ? [{ name: 'First1' }] : [{ name: 'First1' }, { name: 'Second2' }];
        },
      },
    },
  ];

  @Module({})
  class StoresModule {}

  @Module({
    imports: [
      {
        module: StoresModule,
        global: true,
        providers: stores,
        exports: stores.map(({ provide }) => provide as Type),
      },
      ConfigModule.forRoot(config),
      SheddingModule,
      ThrottlingModule.forRoot(config),
      HealthModule,
      BullBoardModule.forRoot({ route: '/admin/queues', adapter: ExpressAdapter }),
    ],
    controllers: [JobsController, JobTypesController, StatsController, HomeController, FaultyController],
    providers: [
      { provide: JobTypeRegistry, useValue: registry },
      { provide: SubmitJobUseCase, useValue: useCases.submit },
      { provide: GetJobStatusUseCase, useValue: useCases.status },
      { provide: ListJobsUseCase, useValue: useCases.list },
      { provide: GetJobLogsUseCase, useValue: useCases.logs },
      { provide: RetryJobUseCase, useValue: useCases.retry },
      { provide: GetStatsUseCase, useValue: useCases.stats },
      { provide: ProcessLoad, useValue: { now: () => ({}) } },
      ...NOT_CALLED.map((provide) => ({ provide, useValue: {} })),
    ],
  })
  class TestModule {}

  const app = await NestFactory.create<NestExpressApplication>(TestModule, new EdgeAdapter(), {
    bodyParser: false,
    logger: false,
  });
  configureHttp(app, config);
  mountSwagger(app, openApiDocument(app, registry, config.http.apiKeys.length > 0));
  await app.listen(0, '127.0.0.1');
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  return {
    url,
    useCases,
    queue,
    database,
    loop: app.get(LoopLag, { strict: false }),
    close: () => app.close(),
  };
}

const JSON_BODY = { 'content-type': 'application/json' };
const validEmail = { type: 'send_email', data: { to: 'ada@example.com', subject: 'Hi' } };

describe('the HTTP edge', () => {
  let app: Running;

  beforeAll(async () => {
    app = await start();
  });
  afterAll(() => app.close());
  beforeEach(() => {
    app.useCases.failure = undefined;
    app.useCases.seen = undefined;
  });

  const get = (path: string, headers: Record<string, string> = {}) => fetch(app.url + path, { headers });
  const post = (path: string, body: unknown, headers: Record<string, string> = JSON_BODY) =>
    fetch(app.url + path, {
      method: 'POST',
      headers,
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    });

  async function expectProblem(answer: Promise<Response>, status: number, code: string, ...paths: string[]) {
    const response = await answer;
    const problem = await bodyOf(response);

    expect(problem).toMatchObject({ status, code, type: 'about:blank' });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(Object.keys(problem)).toEqual(expect.arrayContaining(['title', 'detail', 'instance']));
    if (paths.length > 0) expect(problem.errors.map(({ path }) => path)).toEqual(paths);
    return { response, problem };
  }

  describe('POST /jobs', () => {
    it('answers 202 with the job and its place', async () => {
      const response = await post('/jobs', validEmail);
      const job = await bodyOf(response);

      expect(response.status).toBe(202);
      expect(response.headers.get('location')).toBe(`/jobs/${ID}`);
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(job).toMatchObject({
        id: ID,
        type: 'send_email',
        status: 'waiting',
        data: validEmail.data,
        createdAt: '2026-11-24T09:30:00.000Z',
        finishedAt: null,
      });
      expect(job).not.toHaveProperty('tenant');
      expect(job).not.toHaveProperty('shard');
      expect(job).not.toHaveProperty('delivery');
    });

    it('hands the options over, the time as a Date', async () => {
      const options = {
        runAt: '2026-12-01T10:00:00+01:00',
        priority: 0,
        backoff: { kind: 'fixed', delay: 5 },
      };
      await post('/jobs', { ...validEmail, options });

      expect(app.useCases.seen).toEqual({
        tenant: 'default',
        ...validEmail,
        options: { ...options, runAt: new Date('2026-12-01T09:00:00Z') },
      });
    });

    it.each<[string, unknown, string[]]>([
      ['an unknown type', { type: 'nope', data: {} }, ['type']],
      ['wrong data', { type: 'send_email', data: { to: 'x', subject: 1 } }, ['data.to', 'data.subject']],
      ['an unknown field', { ...validEmail, extra: 1 }, ['extra']],
      ['an unknown option', { ...validEmail, options: { dely: 1 } }, ['options.dely']],
      ['an unknown field in data', { type: 'send_email', data: { ...validEmail.data, cc: '' } }, ['data.cc']],
      ['a list', [], ['']],
      ['no data', { type: 'send_email' }, ['data']],
      ['a huge integer', '{"type":"anything","data":{"n":1152921504606846976}}', ['data.n']],
      ['a number beyond range', '{"type":"anything","data":{"n":1e400}}', ['data.n']],
      ['\\u0000', '{"type":"anything","data":{"s":"a\\u0000b"}}', ['data.s']],
      ['a lone surrogate', '{"type":"anything","data":{"s":"\\ud800"}}', ['data.s']],
      [
        '__proto__',
        '{"type":"send_email","data":{"to":"a@b.co","subject":""},"__proto__":{}}',
        ['__proto__'],
      ],
      ['constructor', { ...validEmail, constructor: 1 }, ['constructor']],
      ['hasOwnProperty', { ...validEmail, options: { hasOwnProperty: 1 } }, ['options.hasOwnProperty']],
    ])('refuses %s, naming the field', async (_name, body, paths) => {
      await expectProblem(post('/jobs', body), 400, 'VALIDATION_FAILED', ...paths);
    });

    it('refuses 10,000 levels of nesting', async () => {
      const deep = '['.repeat(10_000) + ']'.repeat(10_000);

      await expectProblem(
        post('/jobs', `{"type":"anything","data":{"d":${deep}}}`),
        400,
        'VALIDATION_FAILED',
      );
      await expectProblem(
        post('/jobs', `{"type":"anything","data":{},"options":${deep}}`),
        400,
        'VALIDATION_FAILED',
        'options',
      );
    });

    it('leaves strange but legal data as it is', async () => {
      const data: Json = { constructor: 1, hasOwnProperty: [null], then: { ü: '𝄞' }, '': -1.5e-7 };
      const response = await post('/jobs', { type: 'anything', data });

      expect((await bodyOf(response)).data).toEqual(data);
    });

    it('refuses what is not JSON in UTF-8', async () => {
      await expectProblem(post('/jobs', '{"type":'), 400, 'MALFORMED_JSON');
      await expectProblem(post('/jobs', '"text"'), 400, 'MALFORMED_JSON');
      await expectProblem(
        post('/jobs', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
        400,
        'MALFORMED_JSON',
      );
      await expectProblem(
        post('/jobs', 'type=a', { 'content-type': 'application/x-www-form-urlencoded' }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      );
      await expectProblem(
        post('/jobs', '{}', { 'content-type': 'text/plain' }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      );
      await expectProblem(
        post('/jobs', '{}', { 'content-type': 'application/json; charset=latin1' }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      );
      await expectProblem(
        post('/jobs', '{}', { 'content-type': 'application/json; charset=utf-16' }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      );
      await expectProblem(
        post('/jobs', '{}', { ...JSON_BODY, 'content-encoding': 'rot13' }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      );
      await expectProblem(
        post('/jobs', '{}', { ...JSON_BODY, 'content-encoding': 'gzip' }),
        400,
        'BAD_REQUEST',
      );
    });

    it('refuses no body at all', async () => {
      await expectProblem(fetch(`${app.url}/jobs`, { method: 'POST' }), 400, 'VALIDATION_FAILED', '');
    });

    it('refuses 2 MB', async () => {
      const { problem } = await expectProblem(
        post('/jobs', { type: 'anything', data: { s: 'x'.repeat(2_000_000) } }),
        413,
        'PAYLOAD_TOO_LARGE',
      );
      expect(problem.detail).toContain('1048576');
    });

    it('answers 503 with Retry-After while PostgreSQL is away', async () => {
      app.useCases.failure = new RecordUnavailable(new Error('ECONNREFUSED'));

      const { response, problem } = await expectProblem(post('/jobs', validEmail), 503, 'RECORD_UNAVAILABLE');
      expect(response.headers.get('retry-after')).toBe('1');
      expect(JSON.stringify(problem)).not.toContain('ECONNREFUSED');
    });
  });

  describe('POST /jobs/bulk', () => {
    it('answers all of them', async () => {
      const response = await post('/jobs/bulk', { jobs: [validEmail, validEmail] });

      expect(response.status).toBe(202);
      expect((await bodyOf(response)).items).toHaveLength(2);
    });

    it('names the job and the field', async () => {
      const jobs = [validEmail, { type: 'send_email', data: { to: 'x', subject: '' } }];

      await expectProblem(post('/jobs/bulk', { jobs }), 400, 'VALIDATION_FAILED', 'jobs.1.data.to');
      await expectProblem(
        post('/jobs/bulk', { jobs: [{ type: 'nope', data: 1 }] }),
        400,
        'VALIDATION_FAILED',
        'jobs.0.type',
      );
      await expectProblem(
        post('/jobs/bulk', { jobs: [{ ...validEmail, options: { delay: -1 } }] }),
        400,
        'VALIDATION_FAILED',
        'jobs.0.options.delay',
      );
      await expectProblem(post('/jobs/bulk', { jobs: [] }), 400, 'VALIDATION_FAILED', 'jobs');
      await expectProblem(
        post('/jobs/bulk', { jobs: Array(1_001).fill(validEmail) }),
        400,
        'VALIDATION_FAILED',
        'jobs',
      );
      await expectProblem(post('/jobs/bulk', [validEmail]), 400, 'VALIDATION_FAILED', '');
    });
  });

  describe('GET /jobs', () => {
    it('reads its filter', async () => {
      const { nextCursor } = await bodyOf(await get('/jobs'));
      const response = await get(
        `/jobs?type=a&type=b&status=failed&queue=default&createdFrom=2026-01-01&createdTo=2026-02-01T00:00:00%2B01:00&limit=200&cursor=${nextCursor}`,
      );

      expect(response.status).toBe(200);
      expect(app.useCases.seen).toEqual({
        tenant: 'default',
        limit: 200,
        before: ID,
        filter: {
          types: ['a', 'b'],
          statuses: ['failed'],
          queue: 'default',
          createdFrom: new Date('2026-01-01T00:00:00Z'),
          createdTo: new Date('2026-01-31T23:00:00Z'),
        },
      });
    });

    it.each([
      ['limit=0', 'limit'],
      ['limit=10000', 'limit'],
      ['limit=1e1', 'limit'],
      ['limit=', 'limit'],
      ['limit=5&limit=6', 'limit'],
      ['cursor=abc', 'cursor'],
      ['cursor=%FF', 'cursor'],
      [`cursor=${Buffer.from(`1.logs.${ID}`).toString('base64url')}`, 'cursor'],
      [`cursor=${Buffer.from("1.jobs.1' OR 1=1").toString('base64url')}`, 'cursor'],
      ['createdFrom=yesterday', 'createdFrom'],
      ['createdTo=2026-02-30', 'createdTo'],
      ['createdTo=2026-02-01T00:00:00+01:00', 'createdTo'],
      ['createdFrom=2026-01-01&createdFrom=2026-01-02', 'createdFrom'],
      ['status=done', 'status'],
      ['status=failed&status=%00', 'status'],
      ['type=%00', 'type'],
      ['queue=Default', 'queue'],
      ['stauts=failed', 'stauts'],
      ['__proto__=1', '__proto__'],
      ['constructor=1', 'constructor'],
    ])('refuses ?%s', async (query, path) => {
      await expectProblem(get(`/jobs?${query}`), 400, 'VALIDATION_FAILED', path);
    });
  });

  describe('one job', () => {
    it('shows its attempts', async () => {
      const job = await bodyOf(await get(`/jobs/${ID}`));

      expect(job.attempts).toEqual([
        {
          run: 1,
          number: 1,
          worker: 'w1',
          startedAt: '2026-11-24T09:30:00.000Z',
          finishedAt: '2026-11-24T09:30:00.000Z',
          outcome: 'failed',
          error: { code: 'HANDLER_ERROR', message: 'no' },
        },
      ]);
    });

    it('pages its log', async () => {
      const { items, nextCursor } = await bodyOf(await get(`/jobs/${ID}/logs`));
      await get(`/jobs/${ID}/logs?limit=1&cursor=${nextCursor}`);

      expect(items).toEqual([{ seq: 7, run: 1, attempt: 1, at: '2026-11-24T09:30:00.000Z', line: 'hello' }]);
      expect(app.useCases.seen).toEqual({ tenant: 'default', id: ID, limit: 1, afterSeq: 7 });
    });

    it('refuses what is not an id, and ids of nobody', async () => {
      await expectProblem(get('/jobs/123'), 400, 'VALIDATION_FAILED', 'id');
      await expectProblem(get(`/jobs/${ID}%00`), 400, 'VALIDATION_FAILED', 'id');
      await expectProblem(get('/jobs/123/logs'), 400, 'VALIDATION_FAILED', 'id');
      await expectProblem(get(`/jobs/${UNKNOWN_ID}`), 404, 'JOB_NOT_FOUND');
    });

    it('answers 409 where the state forbids the move', async () => {
      await expectProblem(
        fetch(`${app.url}/jobs/${ID}/retry`, { method: 'POST' }),
        409,
        'ILLEGAL_TRANSITION',
      );
    });
  });

  describe('job types', () => {
    it('lists them with schema and example', async () => {
      const { items } = await bodyOf(await get('/job-types'));

      expect(items.map(({ name }) => name)).toEqual(['anything', 'send_email', 'walk_tree']);
      expect(items[1]).toMatchObject({
        queue: 'default',
        defaults: { attempts: 5 },
        jsonSchema: { type: 'object' },
      });
    });

    it('shows one, or says that there is none', async () => {
      expect(await bodyOf(await get('/job-types/send_email'))).toMatchObject({ name: 'send_email' });
      await expectProblem(get('/job-types/nope'), 404, 'JOB_TYPE_NOT_FOUND');
    });
  });

  describe('GET /stats', () => {
    it('answers the counts', async () => {
      const response = await fetch(`${app.url}/stats`);

      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({
        at: '1970-01-01T00:00:00.000Z',
        queues: [{ queue: 'default', waiting: 1, oldestWaiting: null }],
        drift: { lost: 1, quarantined: 0 },
      });
      expect(app.useCases.seen).toEqual({ tenant: 'default', minutes: 60 });
    });
  });

  describe('what fits no route', () => {
    it('answers 404 without echoing the query', async () => {
      const { problem } = await expectProblem(get('/nothing/here?secret=1'), 404, 'NOT_FOUND');
      expect(problem.instance).toBe('/nothing/here');
      expect(JSON.stringify(problem)).not.toContain('secret');
    });

    it.each([
      ['GET', '/jobs/bulk', 'POST'],
      ['GET', `/jobs/${ID}/retry`, 'POST'],
      ['DELETE', `/jobs/${ID}`, 'GET, HEAD'],
      ['PUT', '/jobs', 'GET, HEAD, POST'],
      ['POST', '/job-types', 'GET, HEAD'],
      ['POST', '/health/live', 'GET, HEAD'],
      ['POST', '/docs', 'GET, HEAD'],
      ['OPTIONS', '/jobs', 'GET, HEAD, POST'],
    ])('answers 405 to %s %s', async (method, path, allow) => {
      const { response } = await expectProblem(fetch(app.url + path, { method }), 405, 'METHOD_NOT_ALLOWED');
      expect(response.headers.get('allow')).toBe(allow);
    });

    it('answers HEAD like GET, without a body', async () => {
      const response = await fetch(`${app.url}/jobs`, { method: 'HEAD' });
      expect(response.status).toBe(200);
    });

    it('answers 400 to bad percent-encoding', async () => {
      await expectProblem(get('/jobs/%ff'), 400, 'BAD_REQUEST');
      await expectProblem(get('/jobs/%zz/logs'), 400, 'BAD_REQUEST');
    });

    it('answers 400 to what is not HTTP, and 431 to endless headers', async () => {
      expect(await raw(app.url, 'NONSENSE\r\n\r\n')).toMatch(
        /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"status":400/,
      );
      expect(await raw(app.url, `GET / HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 431 /,
      );
    });
  });

  describe('faults', () => {
    it('tells the client nothing of what happened inside', async () => {
      const { problem } = await expectProblem(get('/faulty/throws'), 500, 'INTERNAL_ERROR');
      expect(JSON.stringify(problem)).not.toContain('hunter2');
    });

    it('breaks the connection when half an answer is out', async () => {
      await expect(get('/faulty/half').then((response) => response.text())).rejects.toThrow();
    });
  });

  describe('headers', () => {
    it('names no product, allows scripts from here alone, and takes plain http', async () => {
      const { headers } = await get('/docs');

      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('strict-transport-security')).toBeNull();
      expect(headers.get('content-security-policy')).toContain("script-src 'self';");
      expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    });

    it('are on every answer', async () => {
      for (const answer of [post('/jobs', validEmail), get('/jobs'), get('/nothing'), post('/jobs', '{')]) {
        const { headers } = await answer;
        expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      }
    });

    it('lets no page of another site in', async () => {
      const headers = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
      const response = await get('/jobs', headers);

      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      await expectProblem(
        fetch(`${app.url}/jobs/${ID}/retry`, { method: 'POST', headers }),
        403,
        'FORBIDDEN',
      );
    });
  });

  describe('health', () => {
    const settle = () => new Promise((resolve) => setTimeout(resolve, 600));

    afterEach(async () => {
      Object.assign(app.database, { down: false, pending: false });
      app.queue.down = false;
      await settle();
    });

    it('is alive and ready, and says which version', async () => {
      expect(await bodyOf(await get('/health/live'))).toEqual({
        status: 'ok',
        version: expect.stringMatching(/^\d/),
      });
      expect(await bodyOf(await get('/health/ready'))).toMatchObject({
        status: 'ok',
        checks: { database: { status: 'up' }, migrations: { status: 'up' }, queue: { status: 'up' } },
      });
    });

    it('is degraded and ready without the queue', async () => {
      app.queue.down = true;
      await settle();
      const response = await get('/health/ready');

      expect(response.status).toBe(200);
      expect(await bodyOf(response)).toMatchObject({
        status: 'degraded',
        checks: { queue: { status: 'degraded' } },
      });
    });

    it('is not ready without the database, and still alive', async () => {
      app.database.down = true;
      await settle();
      const { problem } = await expectProblem(get('/health/ready'), 503, 'NOT_READY');

      expect(problem.checks.database?.status).toBe('down');
      expect((await get('/health/live')).status).toBe(200);
    });

    it('is not ready while migrations are pending', async () => {
      app.database.pending = true;
      await settle();
      const { problem } = await expectProblem(get('/health/ready'), 503, 'NOT_READY');

      expect(problem.checks).toMatchObject({ database: { status: 'up' }, migrations: { status: 'down' } });
    });
  });

  describe('Swagger', () => {
    it('serves the page and everything that it loads', async () => {
      const page = await (await get('/docs')).text();
      const sources = [...page.matchAll(/(?:src|href)="?(\.\/docs\/[^"' ]+)/g)].map(([, source]) => source);

      expect(page).not.toMatch(/<script>/);
      expect(sources.length).toBeGreaterThan(3);
      for (const source of sources)
        expect((await fetch(new URL(source ?? '', `${app.url}/docs`))).status).toBe(200);
    });

    it('is valid OpenAPI 3', async () => {
      const validate = `
        const [url] = process.argv.slice(1);
        require('@apidevtools/swagger-parser').validate(url + '/docs-json', { resolve: { http: { safeUrlResolver: false } } })
          .then((api) => console.log(api.openapi), (error) => { console.error(error.message); process.exit(1); });`;
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', validate, app.url]);

      expect(stdout.trim()).toMatch(/^3\./);
    });

    it('describes every route, and every problem as application/problem+json', async () => {
      const { paths } = await bodyOf(await get('/docs-json'));

      expect(Object.keys(paths)).toEqual(
        expect.arrayContaining([
          '/jobs',
          '/jobs/bulk',
          '/jobs/{id}',
          '/jobs/{id}/logs',
          '/jobs/{id}/retry',
          '/job-types',
          '/job-types/{type}',
          '/health/live',
          '/health/ready',
        ]),
      );
      for (const [path, operations] of Object.entries(paths)) {
        if (path.startsWith('/faulty')) continue;
        for (const { responses } of Object.values(operations)) {
          expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true);
          for (const [status, response] of Object.entries(responses)) {
            if (Number(status) >= 400)
              expect(Object.keys(response.content)).toEqual(['application/problem+json']);
            else if (status !== '204') expect([path, response.content]).not.toEqual([path, undefined]);
          }
        }
      }
    });

    it('asks for no key where none is needed', async () => {
      const { paths, components, security } = await bodyOf(await get('/docs-json'));

      expect([components.securitySchemes, security]).toEqual([undefined, undefined]);
      expect(Object.keys(paths['/jobs']?.['get']?.responses ?? {})).not.toContain('401');
    });

    it('offers an example a job type that is accepted as it stands', async () => {
      const { paths, components } = await bodyOf(await get('/docs-json'));
      const submit = paths['/jobs']?.['post']?.requestBody.content['application/json'];
      const examples = submit?.examples ?? {};
      const submitMany = paths['/jobs/bulk']?.['post']?.requestBody.content['application/json'];
      const bulk = submitMany?.examples ?? {};

      expect(submit?.schema).toEqual({ $ref: '#/components/schemas/Submit' });
      expect(components.schemas['Submit']?.oneOf).toHaveLength(3);
      expect(components.schemas['send_email.data']?.properties['token']).toEqual({
        type: 'string',
        'x-sensitive': true,
      });
      expect(Object.keys(bulk)).toEqual(Object.keys(examples));
      expect(Object.keys(examples)).toEqual(['anything', 'send_email', 'walk_tree']);
      for (const { value } of Object.values(examples)) {
        expect((await post('/jobs', value)).status).toBe(202);
      }
      for (const { value } of Object.values(bulk)) {
        expect((await post('/jobs/bulk', value)).status).toBe(202);
      }
    });
  });

  describe('Bull Board', () => {
    it('loads under the policy: its scripts are files of its own, and the only inline one is data', async () => {
      const response = await get('/admin/queues');
      const page = await response.text();
      const scripts = [...page.matchAll(/<script([^>]*)>/g)].map(([, attributes]) => attributes ?? '');
      const files = scripts.flatMap((attributes) => /src="([^"]+)"/.exec(attributes)?.[1] ?? []);

      expect(response.status).toBe(200);
      expect(scripts.filter((attributes) => !attributes.includes('src='))).toEqual([
        expect.stringContaining('type="application/json"'),
      ]);
      expect(files.length).toBeGreaterThan(2);
      for (const file of files) expect((await get(`/admin/queues/${file}`)).status).toBe(200);
      expect((await get('/admin/queues/api/queues')).status).toBe(200);
    });
  });

  describe('the first page', () => {
    it('needs nothing from elsewhere, and shows a call that works', async () => {
      const response = await get('/');
      const page = await response.text();

      expect(response.headers.get('content-type')).toContain('text/html');
      expect(page).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
      for (const link of ['/docs', '/admin/queues', '/health/ready', '/job-types']) {
        expect(page).toContain(`href="${link}"`);
      }
      expect(page).toContain(`curl -i ${app.url}/jobs -H 'Content-Type: application/json' \\\n`);
      expect(page).toContain("-d '{&quot;type&quot;:&quot;send_email&quot;,");
    });

    it.each([
      ['a rebound name', 'evil.example', 421],
      ['a rebound name with a port', 'Evil.Example.:3000', 421],
      ['a name that looks like an address', '127.0.0.1.evil.example', 421],
      ['localhost', 'localhost:3000', 200],
      ['an address', '127.0.0.1:3000', 200],
      ['an address of version 6', '[::1]:3000', 200],
      ['the name of a container', 'api:3000', 200],
      ['a name that was allowed', 'jobs.example.com', 200],
    ])('without keys answers to %s as it should', async (_what, host, status) => {
      const answer = await raw(app.url, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    });

    it('answers probes under every name', async () => {
      const answer = await raw(
        app.url,
        'GET /health/live HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1.1 200 /);
    });

    it('does not let the Host header write into it', async () => {
      const page = await raw(app.url, 'GET / HTTP/1.1\r\nHost: x"><b>\r\nConnection: close\r\n\r\n');
      expect(page).not.toContain('<b>\r');
      expect(page).not.toContain('x"><b>');
    });
  });
});

describe('with API keys', () => {
  let app: Running;
  const KEY = 'k-0123456789';

  beforeAll(async () => {
    app = await start({ apiKeys: ['other-key', KEY] });
  });
  afterAll(() => app.close());

  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(app.url + path, { method, headers });
  const basic = `Basic ${Buffer.from(`anyone:${KEY}`).toString('base64')}`;

  it('takes a key as Bearer or X-API-Key', async () => {
    expect((await ask('/jobs', { authorization: `Bearer ${KEY}` })).status).toBe(200);
    expect((await ask('/jobs', { authorization: `bearer ${KEY}` })).status).toBe(200);
    expect((await ask('/jobs', { 'x-api-key': 'other-key' })).status).toBe(200);
    expect((await ask('/jobs', { 'x-api-key': KEY, authorization: 'Basic x' })).status).toBe(200);
  });

  it.each([
    ['/jobs', {}],
    ['/jobs', { authorization: 'Bearer wrong' }],
    ['/jobs', { authorization: `Bearer ${KEY}x` }],
    ['/jobs', { authorization: KEY }],
    ['/jobs', { authorization: basic }],
    ['/job-types', {}],
    ['/nothing', {}],
    ['/health/live/x', {}],
  ])('refuses GET %s with %j', async (path, headers) => {
    const response = await ask(path, headers);

    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="jobs"/);
    expect(await bodyOf(response)).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
  });

  it.each(['/', '/docs', '/docs-json', '/docs/swagger-ui.css', '/admin/queues', '/admin/queues/api/queues'])(
    'lets a browser open %s with Basic',
    async (path) => {
      const refused = await ask(path);

      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic /);
      expect((await ask(path, { authorization: basic })).status).toBe(200);
    },
  );

  it('lets a browser follow a link to a job with Basic', async () => {
    const headers = { accept: 'text/html,application/xhtml+xml', authorization: basic };
    expect((await ask(`/jobs/${ID}`, headers)).status).toBe(200);
  });

  it.each(['/jobs', '/admin/queues/api/queues/x/clean', '/'])(
    'takes no Basic where something changes: POST %s',
    async (path) => {
      const response = await ask(path, { authorization: basic, accept: 'text/html' }, 'POST');
      expect(response.status).toBe(401);
    },
  );

  it('describes both ways to bring one, and which routes ask for it', async () => {
    const { paths, components, security } = await bodyOf(await ask('/docs-json', { 'x-api-key': KEY }));

    expect(components.securitySchemes).toMatchObject({
      bearer: { type: 'http' },
      apiKey: { type: 'apiKey' },
    });
    expect(security).toEqual([{ bearer: [] }, { apiKey: [] }]);
    expect(Object.keys(paths['/jobs']?.['get']?.responses ?? {})).toContain('401');
    expect(Object.keys(paths['/health/live']?.['get']?.responses ?? {})).not.toContain('401');
  });

  it('lets browsers look for an icon, which they do by themselves', async () => {
    const response = await ask('/favicon.ico');

    expect([response.status, await response.text()]).toEqual([204, '']);
    expect((await ask('/favicon.ico', {}, 'POST')).status).toBe(401);
    expect((await ask('/favicon.ico/x')).status).toBe(401);
  });

  it('asks the probes for nothing', async () => {
    expect((await ask('/health/live')).status).toBe(200);
    expect((await ask('/health/ready')).status).toBe(200);
  });

  it('asks for the key before it reads the body', async () => {
    const response = await fetch(`${app.url}/jobs`, { method: 'POST', headers: JSON_BODY, body: '{"type":' });
    expect(response.status).toBe(401);
  });
});

describe('with allowed origins', () => {
  let app: Running;

  beforeAll(async () => {
    app = await start({ corsOrigins: ['https://console.example'], apiKeys: ['k'] });
  });
  afterAll(() => app.close());

  it('answers a preflight without a key, for allowed origins alone', async () => {
    const preflight = (origin: string) =>
      fetch(`${app.url}/jobs`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        },
      });

    const allowed = await preflight('https://console.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://console.example');
    expect(allowed.headers.get('access-control-allow-headers')).toBe('authorization');
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });

  it('shows an allowed origin the headers it needs, also on a refusal', async () => {
    const headers = { origin: 'https://console.example', 'sec-fetch-site': 'cross-site' };
    const refused = await fetch(`${app.url}/jobs`, { headers });
    const accepted = await fetch(`${app.url}/jobs`, {
      method: 'POST',
      headers: { ...headers, ...JSON_BODY, 'x-api-key': 'k' },
      body: JSON.stringify(validEmail),
    });

    expect(refused.headers.get('access-control-allow-origin')).toBe('https://console.example');
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('access-control-expose-headers')).toContain('Location');
  });
});

describe('with a rate limit', () => {
  let app: Running;

  beforeAll(async () => {
    app = await start({ rateLimitPerMinute: 3 });
  });
  afterAll(() => app.close());

  it('answers 429 past it, over all routes together, but not to probes', async () => {
    for (const path of ['/jobs', '/job-types', `/jobs/${ID}`])
      expect((await fetch(app.url + path)).status).toBe(200);
    const response = await fetch(`${app.url}/jobs`);

    expect(response.status).toBe(429);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await bodyOf(response)).toMatchObject({ status: 429, code: 'TOO_MANY_REQUESTS' });
    expect((await fetch(`${app.url}/health/live`)).status).toBe(200);
  });
});

describe('with too much to do', () => {
  let app: Running;

  beforeAll(async () => {
    app = await start({ bodyTotalLimit: 32 * 1_024 });
  });
  afterAll(() => app.close());

  const submit = (body = JSON.stringify(validEmail), path = '/jobs') =>
    fetch(app.url + path, { method: 'POST', headers: JSON_BODY, body });

  async function expectOverloaded(answer: Promise<Response>) {
    const response = await answer;
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await bodyOf(response)).toMatchObject({ status: 503, code: 'OVERLOADED' });
  }

  it('answers 429 for a queue that is full, with its figures', async () => {
    const fill = { queue: 'default', depth: 12, oldestWaiting: 85.4, maxDepth: 10, maxAge: 0 };
    app.useCases.failure = new QueueFull({ ...fill, retryAfter: 7 });

    const response = await submit().finally(() => (app.useCases.failure = undefined));

    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await bodyOf(response)).toMatchObject({ status: 429, code: 'QUEUE_FULL', ...fill });
  });

  it('refuses submits unread while the event loop is late; probes and reads go on', async () => {
    app.loop.onApplicationShutdown(); // its own ticks are not late
    let now = performance.now();
    const late = () => app.loop.tick((now += 700));
    for (let tick = 0; tick < 4; tick++) late();

    await expectOverloaded(submit('not even JSON'));
    late();
    await expectOverloaded(submit('not even JSON', '/jobs/bulk'));
    late();
    expect((await fetch(`${app.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${app.url}/jobs`)).status).toBe(200);

    app.loop.tick((now += 100));
    expect((await submit()).status).toBe(202);
  });

  it('refuses a body that it has no room for beside others, until one of them is answered', async () => {
    const slow = [1, 2].map(() => openRequest(app.url, '/jobs', JSON.stringify(validEmail)));
    await Promise.all(slow.map(({ begun }) => begun));

    await expectOverloaded(submit());
    expect((await fetch(`${app.url}/jobs`)).status).toBe(200);

    const [one] = slow;
    expect(await one?.finish()).toContain('HTTP/1.1 202');
    expect((await submit()).status).toBe(202);
    await slow[1]?.finish();
  });
});

/** A request whose body is not sent to its end before `finish`. */
function openRequest(url: string, path: string, body: string) {
  const { port, hostname } = new URL(url);
  let answer = '';
  const socket = connect(Number(port), hostname);
  const over = new Promise<string>((resolve) => socket.on('close', () => resolve(answer)));
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    // The server says that it has read the head.
    'Expect: 100-continue',
    'Connection: close',
  ].join('\r\n');
  const begun = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      resolve();
    });
  });
  socket.write(`${head}\r\n\r\n`);
  return {
    begun,
    finish: () => {
      socket.write(body);
      return over;
    },
  };
}

/** Sends bytes as they are. */
function raw(url: string, text: string): Promise<string> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
