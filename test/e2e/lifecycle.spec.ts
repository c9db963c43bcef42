import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { buildLedger } from '../support/extension.js';
import { canonical, type JobView, startPlatform, type TestPlatform } from '../support/platform.js';
import { type SmtpSink, startSmtpSink } from '../support/smtp-sink.js';

/** A delivery, as Bull Board's own API tells of it. */
interface BoardJob {
  id: string;
  name: string;
  data: { job: string; data: unknown };
  failedReason?: string;
  stacktrace: string[];
  returnValue: unknown;
  progress: unknown;
  externalUrl: { displayText: string; href: string };
}

/** JSON that is legal, and that careless code changes. The text counts: parsing it would hide what it does. */
const ODD_JSON = `{"":0,"__proto__":{"polluted":true},"constructor":{"prototype":null},"hasOwnProperty":1,"toString":"x",
  "a.b":null,"a":{"b":[]},"0":"zero","emoji":"😀","bmp":"\\uFFFF\\u2028\\u007f","empty":[{},[],"",[[]]],"no":false,
  "smallest":5e-324,"fraction":0.1,"most":9007199254740991,"least":-9007199254740991,"exponent":1E2,"$ref":"#"}`;

describe('the life of a job, with Redis, an API and a worker', () => {
  let platform: TestPlatform;
  let sink: SmtpSink;

  beforeAll(async () => {
    sink = await startSmtpSink();
    platform = await startPlatform({
      env: {
        EXTENSIONS: buildLedger(),
        SMTP_URL: sink.url,
        MAIL_FROM: 'Jobs <jobs@example.com>',
        WORKER_QUEUES: 'default:20,line:1',
      },
    });
  });
  afterAll(async () => {
    await platform?.stop();
    await sink?.stop();
  });

  describe('send_email', () => {
    it('reaches the mail server, with a message id made from the job id', async () => {
      const data = { to: 'ada@example.com', subject: 'Grüße', body: 'Welcome!\n.\nBye' };
      const answer = await platform.request<JobView>('POST', '/jobs', { type: 'send_email', data });

      expect(answer.status).toBe(202);
      expect(answer.headers.get('location')).toBe(`/jobs/${answer.body.id}`);
      const job = await platform.until(answer.body.id, 'completed');
      const messageId = `<${job.id}@example.com>`;
      expect(job).toMatchObject({
        data,
        result: { messageId, accepted: ['ada@example.com'] },
        attemptsMade: 1,
      });
      expect(sink.messages).toHaveLength(1);
      expect(sink.messages[0]).toMatchObject({ messageId, subject: 'Grüße' });
      expect(sink.messages[0]?.text?.trim()).toBe('Welcome!\n.\nBye');
    });

    it('is tried again after a refusal for the moment, and not after one for good', async () => {
      sink.failNext(1);
      const options = { backoff: { kind: 'fixed', delay: 50 } };
      const email = { to: 'ada@example.com', subject: 'Again', body: '' };
      const again = await platform.submit('send_email', email, options);
      expect(await platform.until(again.id, 'completed')).toMatchObject({ attemptsMade: 2 });

      sink.failNext(1, 550);
      const never = await platform.submit('send_email', email, options);
      expect(await platform.until(never.id, 'failed')).toMatchObject({
        attemptsMade: 1,
        error: { code: 'MAIL_REFUSED' },
      });
    });
  });

  describe('a job that fails twice', () => {
    let job: JobView;

    beforeAll(async () => {
      const data = { durationMs: 40, steps: 2, failAttempts: 2, result: { answer: 42 } };
      const backoff = { kind: 'exponential', delay: 300 };
      const { id } = await platform.submit('demo', data, { attempts: 3, backoff });
      job = await platform.until(id, 'completed');
    });

    it('ends completed on its third attempt, with all three on record', () => {
      expect(job).toMatchObject({ run: 1, attemptsMade: 3, result: { answer: 42 }, error: null });
      expect(job.attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
        [1, 'failed'],
        [2, 'failed'],
        [3, 'completed'],
      ]);
      expect(job.attempts[1]?.error).toMatchObject({ code: 'HANDLER_ERROR', message: 'demo failure 2 of 2' });
      expect(job.attempts[0]?.worker).toContain(String(platform.workers[0]?.pid));
    });

    it('waits between its attempts, longer each time', () => {
      const [first, second] = pauses(job);

      expect(first).toBeGreaterThanOrEqual(300);
      expect(first).toBeLessThan(1_300);
      expect(second).toBeGreaterThanOrEqual(600);
      expect(second).toBeLessThan(1_600);
    });

    it('has its progress and its log lines of every attempt', async () => {
      expect(job.progress).toEqual({ percent: 100, step: 'step 2 of 2' });
      const lines = ['step 1 of 2 done', 'step 2 of 2 done'];
      expect(await platform.logs(job.id)).toEqual([...lines, ...lines, ...lines]);
    });

    it('shows as two failed deliveries and a completed one in Bull Board, linked to the record', async () => {
      const failed = (await board('failed')).filter(({ id }) => id.startsWith(job.id));
      const completed = (await board('completed')).filter(({ id }) => id.startsWith(job.id));

      expect(failed.map(({ id }) => id).sort()).toEqual([`${job.id}_1`, `${job.id}_2`]);
      expect(completed.map(({ id }) => id)).toEqual([`${job.id}_3`]);
      for (const delivery of [...failed, ...completed]) {
        expect(delivery.name).toBe('demo');
        expect(delivery.data).toEqual({ job: `/jobs/${job.id}`, data: job.data });
        expect(delivery.progress).toEqual(job.progress);
        expect(delivery.externalUrl).toEqual({ displayText: 'Record', href: `/jobs/${job.id}` });
        expect((await platform.request('GET', delivery.externalUrl.href)).status).toBe(200);
        const logs = await platform.request('GET', `/admin/queues/api/queues/default-0/${delivery.id}/logs`);
        expect(logs.text).toContain('step 2 of 2 done');
      }
      const first = failed.find(({ id }) => id === `${job.id}_1`);
      expect(first?.failedReason).toBe('demo failure 1 of 2');
      expect(first?.stacktrace.join()).toContain('demo.job-type');
      expect(completed[0]?.returnValue).toEqual({ answer: 42 });
    });
  });

  describe('a job that always fails', () => {
    it('ends failed, and a retry runs it again with the old attempts kept', async () => {
      const { id } = await platform.submit('always_fails', { message: 'not today' });
      const failed = await platform.until(id, 'failed');
      expect(failed).toMatchObject({
        run: 1,
        attemptsMade: 2,
        error: { code: 'HANDLER_ERROR', message: 'not today' },
      });

      const retried = await platform.request<JobView>('POST', `/jobs/${id}/retry`);
      expect(retried).toMatchObject({ status: 202, body: { run: 2, attemptsMade: 0, error: null } });
      const again = await platform.until(id, 'failed');

      expect(again).toMatchObject({ run: 2, attemptsMade: 2 });
      expect(again.attempts.map(({ run, number }) => [run, number])).toEqual([
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
      ]);
      expect(again.attempts.slice(0, 2)).toEqual(failed.attempts);
    });

    it('is told apart from a completed one, which cannot be retried', async () => {
      const { id } = await platform.submit('demo', { durationMs: 0 });
      await platform.until(id, 'completed');

      const refused = await platform.request('POST', `/jobs/${id}/retry`);

      expect(refused).toMatchObject({ status: 409, body: { status: 409, code: 'ILLEGAL_TRANSITION' } });
      expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(await platform.job(id)).toMatchObject({ status: 'completed', run: 1 });
    });
  });

  describe('while it runs', () => {
    it('shows its state, its progress and its lines', async () => {
      const { id } = await platform.submit('demo', { durationMs: 1_500, steps: 3 });
      const running = await platform.until(id, 'active');
      expect(running).toMatchObject({ finishedAt: null, attempts: [] });
      expect(running.startedAt).not.toBeNull();

      await sleep(900);
      const later = await platform.job(id);
      expect(later.status).toBe('active');
      expect(later.progress?.percent).toBe(33);
      expect(await platform.logs(id)).toEqual(['step 1 of 3 done']);
      await platform.until(id, 'completed');
    });

    it('is stopped at its timeout', async () => {
      const { id } = await platform.submit('demo', { durationMs: 60_000 }, { timeout: 200, attempts: 1 });

      expect(await platform.until(id, 'failed')).toMatchObject({
        error: { code: 'TIMEOUT' },
        attemptsMade: 1,
      });
    });
  });

  describe('a start in the future', () => {
    it('is not early, and at most a second late', async () => {
      const runAt = new Date(Date.now() + 2_200).toISOString();
      const jobs = await Promise.all([
        ...[700, 1_200, 1_900, 2_600].map((delay) => platform.submit('demo', { durationMs: 0 }, { delay })),
        platform.submit('demo', { durationMs: 0 }, { runAt }),
      ]);
      expect(jobs.map(({ status }) => status)).toEqual(Array(5).fill('delayed'));
      expect(jobs[4]?.runAt).toBe(runAt);
      expect(
        jobs.slice(0, 4).map(({ createdAt, runAt }) => Date.parse(runAt) - Date.parse(createdAt)),
      ).toEqual([700, 1_200, 1_900, 2_600]);

      for (const { id, runAt: due } of jobs) {
        const { startedAt } = await platform.until(id, 'completed');
        const late = Date.parse(startedAt ?? '') - Date.parse(due);
        expect(late).toBeGreaterThanOrEqual(0);
        expect(late).toBeLessThanOrEqual(1_000);
      }
    });
  });

  describe('priority', () => {
    it('0 runs first where the worker is busy', async () => {
      const holder = await platform.submit('record_in_line', { key: 'holder', holdMs: 1_200 });
      await platform.until(holder.id, 'active');
      const keys = ['usual 1', 'usual 2', 'usual 3'];
      const usual = await platform.submitMany(keys.map((key) => ({ type: 'record_in_line', data: { key } })));
      const late = await platform.submit('record_in_line', { key: 'late' }, { priority: 1000 });
      const urgent = await platform.submit('record_in_line', { key: 'urgent' }, { priority: 0 });

      for (const { id } of [...usual, urgent, late]) await platform.until(id, 'completed');
      const effects = await platform.sql<{ key: string }>(
        `SELECT key FROM effects WHERE key = ANY($1) ORDER BY at`,
        [['holder', 'urgent', ...keys, 'late']],
      );
      expect(effects.map(({ key }) => key)).toEqual(['holder', 'urgent', ...keys, 'late']);
    });
  });

  describe('many at once, and their list', () => {
    let jobs: JobView[];

    beforeAll(async () => {
      jobs = await platform.submitMany([
        ...Array.from({ length: 25 }, (_, index) => ({
          type: 'log_in',
          data: { user: `u${index}`, password: 'x' },
        })),
        { type: 'always_fails', data: { message: 'in bulk' }, options: { attempts: 1 } },
        { type: 'demo', data: { durationMs: 0 }, options: { delay: 3_600_000 } },
      ]);
      for (const { id, type } of jobs) {
        if (type !== 'demo') await platform.until(id, type === 'log_in' ? 'completed' : 'failed');
      }
    });

    it('come back in the order of the request', () => {
      expect(jobs.map(({ data }) => (data as { user?: string }).user)).toEqual([
        ...Array.from({ length: 25 }, (_, index) => `u${index}`),
        undefined,
        undefined,
      ]);
      expect(jobs.map(({ id }) => id)).toEqual(jobs.map(({ id }) => id).sort());
    });

    it('are accepted all or none', async () => {
      const valid = { type: 'log_in', data: { user: 'nobody', password: 'x' } };
      const count = () => platform.value<string>('SELECT count(*) FROM jobs');
      const before = await count();

      const refused = await platform.request('POST', '/jobs/bulk', { jobs: [valid, { ...valid, data: {} }] });

      expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: 'jobs.1.data.user' }, {}] } });
      expect(await count()).toBe(before);
    });

    it('page through newest first, without a double or a gap', async () => {
      const listed = await platform.listAll('type=log_in&limit=10');

      expect(listed.map(({ id }) => id)).toEqual(newestFirst(jobs.filter(({ type }) => type === 'log_in')));
      const single = await platform.list('type=log_in&limit=25');
      expect(single).toMatchObject({ nextCursor: null });
    });

    it('are found by type, state, queue and time, and by several at once', async () => {
      const from = encodeURIComponent(jobs[0]?.createdAt ?? '');
      const here = `createdFrom=${from}`;
      const idsOf = async (query: string) => (await platform.listAll(query)).map(({ id }) => id);
      const chosen = (...types: string[]) => newestFirst(jobs.filter(({ type }) => types.includes(type)));

      expect(await idsOf(`${here}&status=delayed`)).toEqual(chosen('demo'));
      expect(await idsOf(`${here}&status=failed`)).toEqual(chosen('always_fails'));
      expect(await idsOf(`${here}&status=failed&status=delayed`)).toEqual(chosen('always_fails', 'demo'));
      expect(await idsOf(`${here}&type=demo&type=always_fails`)).toEqual(chosen('always_fails', 'demo'));
      expect(await idsOf(`${here}&status=completed&type=demo`)).toEqual([]);
      expect(await idsOf(`${here}&queue=default`)).toEqual(newestFirst(jobs));
      expect(await idsOf('queue=line&type=log_in')).toEqual([]);
      expect(await idsOf('queue=unheard_of')).toEqual([]);
      expect(await idsOf(`type=log_in&createdTo=${from}`)).toEqual([]);
      expect(await idsOf('createdFrom=2999-01-01')).toEqual([]);
    });
  });

  describe('the data', () => {
    it('comes back deep-equal, however odd, and so does the result', async () => {
      const body = `{"type":"demo","data":{"durationMs":0,"result":${ODD_JSON}}}`;
      const submitted = await platform.request<JobView>('POST', '/jobs', body);
      expect(submitted.status).toBe(202);
      const job = await platform.until(submitted.body.id, 'completed');

      const sent = canonical(JSON.parse(ODD_JSON));
      expect(canonical((submitted.body.data as { result: unknown }).result)).toBe(sent);
      expect(canonical((job.data as { result: unknown }).result)).toBe(sent);
      expect(canonical(job.result)).toBe(sent);
    });

    it('is masked in Redis where the type says sensitive, and the handler still gets it', async () => {
      const password = `hunter-${'2'.repeat(20)}`;
      const { id } = await platform.submit('log_in', { user: 'ada', password });
      const job = await platform.until(id, 'completed');

      expect(job).toMatchObject({ data: { password }, result: { length: password.length } });
      const everything = await dump(platform.redis.url);
      expect(everything).toContain(id);
      expect(everything).toContain('***');
      expect(everything).not.toContain(password);
      const [delivery] = (await board('completed')).filter((one) => one.id.startsWith(id));
      expect(delivery?.data.data).toEqual({ user: 'ada', password: '***' });
    });
  });

  describe('without Redis', () => {
    it.each(['down', 'hung'])(
      'accepts as fast while Redis is %s, and the job runs once it is back',
      async (how) => {
        if (how === 'down') await platform.redis.kill();
        else platform.redis.pause();
        const times: number[] = [];
        const ids: string[] = [];
        for (let count = 0; count < 5; count++) {
          const start = performance.now();
          ids.push((await platform.submit('record_effect', { key: `${how} ${count}` })).id);
          times.push(performance.now() - start);
        }
        await sleep(500);
        ids.push((await platform.submit('record_effect', { key: `${how} 5` })).id);
        expect(Math.max(...times)).toBeLessThan(500);
        expect(await platform.job(ids[0] ?? '')).toMatchObject({ status: 'waiting', enqueuedAt: null });

        platform.redis.resume();
        await platform.redis.start();

        for (const id of ids) await platform.until(id, 'completed', 30_000);
        expect(await effectsLike(`${how} %`)).toBe(6);
      },
    );

    it('completes all that waited when Redis was wiped while no worker ran', async () => {
      await platform.workers[0]?.stop();
      const jobs = await platform.submitMany(
        Array.from({ length: 200 }, (_, index) => ({
          type: 'record_effect',
          data: { key: `wiped ${index}` },
        })),
      );
      await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE pushed_at IS NOT NULL', 200);

      await platform.redis.flushAll();
      expect(await dump(platform.redis.url)).not.toContain(jobs[0]?.id);
      await platform.startWorker();

      await platform.untilSql(`SELECT count(*)::int FROM effects WHERE key LIKE 'wiped %'`, 200, 30_000);
      await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL', 0);
      const completed = await platform.listAll('type=record_effect&status=completed&limit=200');
      expect(completed.slice(0, 200).map(({ id }) => id)).toEqual(newestFirst(jobs));
      expect(await effectsLike('wiped %')).toBe(200);
    });
  });

  describe('after all that', () => {
    it('no log has an error, nor a line that is not JSON', () => {
      const processes = [...platform.workers, ...platform.apis.map(({ process }) => process)];
      const lines = processes.flatMap((process) => process.output().split('\n').filter(Boolean));

      expect(lines.filter((line) => !line.startsWith('{') || /"level":"(error|fatal)"/.test(line))).toEqual(
        [],
      );
    });
  });

  function effectsLike(pattern: string): Promise<number> {
    return platform.value<number>('SELECT count(*)::int FROM effects WHERE key LIKE $1', [pattern]);
  }

  async function board(status: string): Promise<BoardJob[]> {
    const query = `activeQueue=default-0&status=${status}&page=1&jobsPerPage=100`;
    const { body } = await platform.request<{ queues: { name: string; jobs: BoardJob[] }[] }>(
      'GET',
      `/admin/queues/api/queues?${query}`,
    );
    return body.queues.find(({ name }) => name === 'default-0')?.jobs ?? [];
  }
});

function newestFirst(jobs: JobView[]): string[] {
  return jobs.map(({ id }) => id).reverse();
}

/** ms between the end of one attempt and the start of the next. */
function pauses({ attempts }: JobView): number[] {
  return attempts
    .slice(1)
    .map(({ startedAt }, index) => Date.parse(startedAt) - Date.parse(attempts[index]?.finishedAt ?? ''));
}

/** Every key and value in Redis, as text. */
async function dump(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    const parts: unknown[] = [];
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key);
      parts.push(key);
      if (type === 'hash') parts.push(await redis.hgetall(key));
      else if (type === 'string') parts.push(await redis.get(key));
      else if (type === 'list') parts.push(await redis.lrange(key, 0, -1));
      else if (type === 'zset') parts.push(await redis.zrange(key, 0, -1));
      else if (type === 'stream') parts.push(await redis.xrange(key, '-', '+'));
    }
    return JSON.stringify(parts);
  } finally {
    redis.disconnect();
  }
}
