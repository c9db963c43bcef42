import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';

const AN_HOUR = 3_600_000;
const AT_ONCE = { durationMs: 0 };

interface Problem {
  code: string;
  detail: string;
}

describe.each(['redis', 'postgres'] as const)('the options of a submit, on the %s backend', (backend) => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ backend, env: { WORKER_CONCURRENCY: '2' } });
  });
  afterAll(() => platform?.stop());

  const post = (options: object, path = '/jobs') => {
    const job = { type: 'demo', data: AT_ONCE, options };
    return platform.request<JobView & Problem>('POST', path, path === '/jobs' ? job : { jobs: [job] });
  };

  it('expiresAt fails a job that found no worker in time, and none starts it later', async () => {
    const long = await platform.submitMany(
      Array.from({ length: 2 }, () => ({ type: 'demo', data: { durationMs: 2_500 } })),
    );
    await Promise.all(long.map(({ id }) => platform.until(id, 'active')));
    const expiresAt = new Date(Date.now() + 800).toISOString();

    const { id, options } = await platform.submit('demo', AT_ONCE, { expiresAt });

    expect(options).toMatchObject({ expiresAt });
    const job = await platform.until(id, 'failed');
    expect(job).toMatchObject({ error: { code: 'EXPIRED' }, startedAt: null, attempts: [] });
    expect(Date.parse(job.finishedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(expiresAt));
    for (const { id } of long) await platform.until(id, 'completed');
    expect(await platform.job(id)).toEqual(job);
  });

  it('dedupeKey: a second submit is refused, answered, or takes the place of the first', async () => {
    const dedupeKey = 'report of today';
    const first = await post({ dedupeKey, delay: AN_HOUR });
    expect(first.status).toBe(202);

    const refused = await post({ dedupeKey });
    expect([refused.status, refused.body.code]).toEqual([409, 'DUPLICATE_JOB']);
    expect(refused.body.detail).toContain(first.body.id);
    expect((await post({ dedupeKey }, '/jobs/bulk')).status).toBe(409);

    const answered = await post({ dedupeKey, onDuplicate: 'return' });
    expect([answered.status, answered.body.id]).toEqual([200, first.body.id]);
    expect(answered.headers.get('location')).toBe(`/jobs/${first.body.id}`);

    const replaced = await post({ dedupeKey, onDuplicate: 'replace' });
    expect(replaced.status).toBe(202);
    expect(await platform.job(first.body.id)).toMatchObject({ status: 'cancelled' });
    await platform.until(replaced.body.id, 'completed');

    expect((await post({ dedupeKey })).status).toBe(202);
  });

  it('dedupeKey beside an Idempotency-Key is a contradiction', async () => {
    const body = { type: 'demo', data: AT_ONCE, options: { dedupeKey: 'k' } };

    const { status, body: problem } = await platform.request<Problem>('POST', '/jobs', body, {
      'Idempotency-Key': '"k"',
    });

    expect([status, problem.code]).toEqual([422, 'CONTRADICTORY_OPTIONS']);
  });

  it('tags find a job', async () => {
    const both = await platform.submit('demo', AT_ONCE, { tags: ['customer:42', 'naïve ☕'] });
    await platform.submit('demo', AT_ONCE, { tags: ['customer:42'] });

    const query = new URLSearchParams([
      ['tag', 'customer:42'],
      ['tag', 'naïve ☕'],
    ]);
    const { items } = await platform.list(query.toString());

    expect(items.map(({ id }) => id)).toEqual([both.id]);
    expect(items[0]?.options).toMatchObject({ tags: ['customer:42', 'naïve ☕'] });
    expect((await platform.list('tag=customer%3A42')).items).toHaveLength(2);
  });

  it('jitter takes off a part of each pause', async () => {
    const backoff = { kind: 'fixed', delay: AN_HOUR, jitter: 1 };
    const { id } = await platform.submit('demo', { ...AT_ONCE, failAttempts: 1 }, { backoff });
    await platform.untilSql(`SELECT attempts_made::int FROM jobs WHERE id = '${id}'`, 1);

    const { runAt, options, attempts } = await platform.job(id);

    expect(options).toMatchObject({ backoff });
    const pause = Date.parse(runAt) - Date.parse(attempts[0]?.finishedAt ?? '');
    expect(pause).toBeGreaterThan(-1_000);
    expect(pause).toBeLessThan(AN_HOUR);
  });
});
