import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { request } from 'node:http';
import { z } from 'zod';
import { withoutLimits } from '../support/admission.js';
import type { AppConfig } from '../../src/config/app-config.js';
import { openApiDocument } from '../../src/dashboard/swagger.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { EdgeAdapter } from '../../src/http/edge.adapter.js';
import { configureHttp } from '../../src/http/http-edge.js';
import { SheddingModule } from '../../src/http/shedding.module.js';
import { JobTypeRegistry } from '../../src/job-types/job-type-registry.js';
import { JobType } from '../../src/job-types/job-type.js';
import { LaneLeases } from '../../src/jobs/delivery/lane-leases.js';
import { Lanes } from '../../src/jobs/delivery/lanes.js';
import { OutboxRelay } from '../../src/jobs/delivery/outbox-relay.js';

import { JobsController } from '../../src/jobs/http/jobs.controller.js';
import { InMemoryJobQueue } from '../../src/jobs/in-memory-job-queue.js';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import { IdempotencyInFlight } from '../../src/jobs/job.errors.js';
import { GetJobLogsUseCase } from '../../src/jobs/use-cases/get-job-logs.use-case.js';
import { InMemoryStatisticsRepository } from '../../src/jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../../src/jobs/statistics/job-activity.js';
import { CancelJobUseCase } from '../../src/jobs/use-cases/cancel-job.use-case.js';
import { FollowJobUseCase } from '../../src/jobs/use-cases/follow-job.use-case.js';
import { GetJobStatusUseCase } from '../../src/jobs/use-cases/get-job-status.use-case.js';
import { ListJobsUseCase } from '../../src/jobs/use-cases/list-jobs.use-case.js';
import { RetryJobUseCase } from '../../src/jobs/use-cases/retry-job.use-case.js';
import { RunJobNowUseCase } from '../../src/jobs/use-cases/run-job-now.use-case.js';
import { SubmitJobUseCase } from '../../src/jobs/use-cases/submit-job.use-case.js';
import { WaitForJobUseCase } from '../../src/jobs/use-cases/wait-for-job.use-case.js';

@JobType({ name: 'anything', data: z.record(z.string(), z.json()), example: { n: 1 } })
class Anything {
  async run() {}
}

const types = new JobTypeRegistry([Anything]);
const lanes = new Lanes(['default'], 1);
const jobs = new InMemoryJobRepository();
const activity = new JobActivity(new InMemoryStatisticsRepository());
const relay = new OutboxRelay(jobs, new InMemoryJobQueue(), types, new LaneLeases(jobs, lanes));

const http = {
  bodyLimit: 1_048_576,
  bodyTotalLimit: 67_108_864,
  corsOrigins: ['https://console.example'],
  trustProxy: 0,
  apiKeys: [],
  allowedHosts: [],
};
const config = { http, submit: { maxLoopLag: 0 } } as unknown as AppConfig;

@Module({
  imports: [ConfigModule.forRoot(config), SheddingModule],
  controllers: [JobsController],
  providers: [
    {
      provide: SubmitJobUseCase,
      useValue: new SubmitJobUseCase(types, jobs, relay, activity, ...withoutLimits()),
    },
    { provide: GetJobStatusUseCase, useValue: new GetJobStatusUseCase(jobs) },
    { provide: ListJobsUseCase, useValue: {} },
    { provide: GetJobLogsUseCase, useValue: {} },
    { provide: RetryJobUseCase, useValue: {} },
    { provide: CancelJobUseCase, useValue: {} },
    { provide: RunJobNowUseCase, useValue: {} },
    { provide: WaitForJobUseCase, useValue: {} },
    { provide: FollowJobUseCase, useValue: {} },
  ],
})
class TestModule {}

interface Seen {
  status: number;
  headers: Headers;
  text: string;
  body: { id: string; code: string; errors: { path: string; message: string }[]; items: { id: string }[] };
}

const KEY = 'Idempotency-Key';

describe('Idempotency-Key over HTTP', () => {
  let app: NestExpressApplication;
  let url: string;
  let count = 0;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    app = await NestFactory.create<NestExpressApplication>(TestModule, new EdgeAdapter(), {
      bodyParser: false,
      logger: false,
    });
    configureHttp(app, config);
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });
  afterAll(() => app.close());
  afterEach(() => jest.restoreAllMocks());

  const newKey = () => `key ${++count}`;
  const quoted = (key: string) => `"${key}"`;
  const aJob = { type: 'anything', data: { n: 1, list: [1, { a: 'b' }] } };

  async function post(body: unknown, key?: string, path = '/jobs'): Promise<Seen> {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(key === undefined ? {} : { [KEY]: key }) },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
  }

  function expectReplay(again: Seen, first: Seen): void {
    expect(again.status).toBe(202);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect([first, again].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true']);
  }

  it('gives the first answer again: status, place and body', async () => {
    const key = quoted(newKey());

    const first = await post(aJob, key);
    const again = await post(aJob, key);

    expect(first.headers.get('location')).toBe(`/jobs/${first.body.id}`);
    expectReplay(again, first);
  });

  it('gives it again though the job has gone on since', async () => {
    const key = quoted(newKey());
    const first = await post(aJob, key);
    const [job] = await jobs.list('default', {}, { limit: 1 });
    const claim = { jobId: first.body.id, delivery: job!.delivery, token: 't', workerId: 'w' };
    await jobs.claim(claim);
    await jobs.settle({ ...claim, outcome: 'completed', result: 1 });

    expectReplay(await post(aJob, key), first);
  });

  it('gives all of a bulk again', async () => {
    const key = quoted(newKey());
    const body = { jobs: [aJob, { ...aJob, options: { delay: 60_000 } }] };

    const first = await post(body, key, '/jobs/bulk');
    const again = await post(body, key, '/jobs/bulk');

    expect(first.body.items).toHaveLength(2);
    expectReplay(again, first);
  });

  it('makes a job a request where there is no key', async () => {
    const [one, other] = [await post(aJob), await post(aJob)];

    expect(one.body.id).not.toBe(other.body.id);
    expect(other.headers.get('idempotency-replayed')).toBeNull();
  });

  it('takes a key in quotes and the same bare for one, and capitals for another', async () => {
    const first = await post(aJob, '"order-42"');

    expectReplay(await post(aJob, 'order-42'), first);
    expect((await post(aJob, 'Order-42')).body.id).not.toBe(first.body.id);
  });

  it('takes a body for the same whatever its spaces, the order of its keys, and the way a time is written', async () => {
    const key = quoted(newKey());
    const first = await post(
      '{"type":"anything","data":{"a":1,"b":[2]},"options":{"runAt":"2030-01-01T10:00:00+01:00"}}',
      key,
    );

    const again = await post(
      ' { "options": {"runAt": "2030-01-01T09:00:00Z"}, "data": {"b": [2.0], "a": 1e0}, "type": "anything" } ',
      key,
    );

    expect(again.body).toEqual(first.body);
  });

  it('answers 100 at the same time with one job', async () => {
    const key = quoted(newKey());

    const answers = await Promise.all(Array.from({ length: 100 }, () => post(aJob, key)));

    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers.filter(({ headers }) => !headers.has('idempotency-replayed'))).toHaveLength(1);
  });

  it.each([
    ['other data', '/jobs', { ...aJob, data: { n: 2 } }],
    ['another list order', '/jobs', { ...aJob, data: { n: 1, list: [{ a: 'b' }, 1] } }],
    ['options', '/jobs', { ...aJob, options: { priority: 0 } }],
    ['a bulk of the same', '/jobs/bulk', { jobs: [aJob] }],
  ])('refuses the key with %s: 422', async (_what, path, body) => {
    const key = quoted(newKey());
    await post(aJob, key);

    const refused = await post(body, key, path);

    expect(refused.status).toBe(422);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(refused.body).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED', instance: path });
    expect(refused.headers.get('location')).toBeNull();
  });

  it('answers 409 while another request with the key has not ended, and says when to ask again', async () => {
    jest.spyOn(jobs, 'insert').mockRejectedValue(new IdempotencyInFlight());

    for (const [path, body] of Object.entries({ '/jobs': aJob, '/jobs/bulk': { jobs: [aJob] } })) {
      const refused = await post(body, quoted(newKey()), path);

      expect(refused).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_IN_FLIGHT' } });
      expect(refused.headers.get('retry-after')).toBe('1');
    }
  });

  it('does not use a key up by a request that is refused', async () => {
    const key = quoted(newKey());
    expect((await post({ ...aJob, data: 1 }, key)).status).toBe(400);
    expect((await post({ ...aJob, type: 'nope' }, key)).status).toBe(400);
    expect((await post('{', key)).status).toBe(400);

    const accepted = await post(aJob, key);

    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('idempotency-replayed')).toBeNull();
  });

  it.each([
    ['empty', ''],
    ['an empty string', '""'],
    ['256 characters', 'x'.repeat(256)],
    ['no end', '"a'],
    ['parameters', '"a";b=1'],
    ['a space without quotes', 'a b'],
    ['a letter beyond ASCII', 'cl\u00e9'],
  ])('refuses a key that is none (%s), and names the header', async (_what, key) => {
    for (const [path, body] of Object.entries({ '/jobs': aJob, '/jobs/bulk': { jobs: [aJob] } })) {
      const refused = await post(body, key, path);

      expect(refused).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
      expect(refused.body.errors).toEqual([{ path: KEY, message: expect.any(String) }]);
    }
  });

  it('refuses two headers', async () => {
    const body = JSON.stringify(aJob);
    const headers = ['Content-Type', 'application/json', 'Content-Length', String(body.length)];

    const status = await new Promise((resolve, reject) => {
      request(`${url}/jobs`, { method: 'POST', headers: [...headers, KEY, 'a', KEY, 'a'] }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end(body);
    });

    expect(status).toBe(400);
  });

  it('lets pages of an allowed origin send a key, and see that an answer is replayed', async () => {
    const origin = 'https://console.example';
    const asked = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'idempotency-key',
    };
    const preflight = await fetch(`${url}/jobs`, { method: 'OPTIONS', headers: { origin, ...asked } });
    const listed = await fetch(`${url}/jobs/nothing`, { headers: { origin } });

    expect(preflight.headers.get('access-control-allow-headers')).toBe('idempotency-key');
    const exposed = listed.headers.get('access-control-expose-headers')?.split(',');
    expect(exposed).toEqual(expect.arrayContaining(['Idempotency-Replayed', 'Location', 'Retry-After']));
  });

  it.each(['/jobs', '/jobs/bulk'])('is described in the OpenAPI document of POST %s', (path) => {
    const operation = openApiDocument(app, types, false).paths[path]?.post;

    expect(operation?.parameters).toEqual([
      expect.objectContaining({ in: 'header', name: KEY, required: false }),
    ]);
    // Swagger UI would fill it in and send it with every request.
    expect(JSON.stringify(operation?.parameters)).not.toMatch(/"(example|examples|default)":/);
    expect(operation?.responses['202']).toMatchObject({ headers: { 'Idempotency-Replayed': {} } });
    for (const status of ['409', '422']) {
      expect(operation?.responses[status]).toMatchObject({ content: { 'application/problem+json': {} } });
    }
  });
});
