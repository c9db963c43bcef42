import { buildLedger } from '../support/extension.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';
import { type SmtpSink, startSmtpSink } from '../support/smtp-sink.js';

describe('the life of a job with QUEUE_BACKEND=postgres, an API and a worker', () => {
  let platform: TestPlatform;
  let sink: SmtpSink;

  beforeAll(async () => {
    sink = await startSmtpSink();
    platform = await startPlatform({
      backend: 'postgres',
      env: { EXTENSIONS: buildLedger(), SMTP_URL: sink.url, MAIL_FROM: 'jobs@example.com' },
    });
  });
  afterAll(async () => {
    await platform?.stop();
    await sink?.stop();
  });

  it('goes from POST /jobs to the mail server', async () => {
    const { id } = await platform.submit('send_email', {
      to: 'ada@example.com',
      subject: 'Hello',
      body: 'Hi',
    });

    await platform.until(id, 'completed');
    expect(sink.messages.map(({ messageId }) => messageId)).toEqual([`<${id}@example.com>`]);
  });

  it('fails twice and completes on its third attempt, shown in Bull Board', async () => {
    const data = { durationMs: 20, steps: 2, failAttempts: 2, result: { '': [null] } };
    const { id } = await platform.submit('demo', data, { backoff: { kind: 'fixed', delay: 200 } });
    const job = await platform.until(id, 'completed');

    expect(job).toMatchObject({ attemptsMade: 3, result: { '': [null] }, progress: { percent: 100 } });
    expect(job.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'completed']);
    expect(await platform.logs(id)).toHaveLength(6);
    const { text } = await platform.request('GET', '/admin/queues/api/queues?activeQueue=default-0&page=1');
    for (const delivery of [1, 2, 3]) expect(text).toContain(`"${id}_${delivery}"`);
  });

  it('ends failed, and runs again after a retry', async () => {
    const { id } = await platform.submit('always_fails', { message: 'no' });
    await platform.until(id, 'failed');

    expect((await platform.request('POST', `/jobs/${id}/retry`)).status).toBe(202);
    expect(await platform.until(id, 'failed')).toMatchObject({ run: 2, attemptsMade: 2 });
    expect((await platform.job(id)).attempts).toHaveLength(4);
  });

  it('starts when it is told, not early and at most a second late', async () => {
    const { id, runAt } = await platform.submit('demo', { durationMs: 0 }, { delay: 1_000 });
    const { startedAt } = await platform.until(id, 'completed');

    const late = Date.parse(startedAt ?? '') - Date.parse(runAt);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThanOrEqual(1_000);
  });

  it('is made by a schedule, at its time', async () => {
    const everySecond = { every: 1_000, type: 'demo', data: { durationMs: 0 } };
    const { body } = await platform.request<{ nextFireAt: string }>('PUT', '/schedules/second', everySecond);
    await platform.untilSql('SELECT count(*) > 0 FROM schedule_fires', true);
    await platform.request('DELETE', '/schedules/second');

    const [fire] = await platform.sql<{ fire_at: Date; job_id: string }>(
      'SELECT fire_at, job_id FROM schedule_fires ORDER BY fire_at LIMIT 1',
    );
    expect(fire!.fire_at.toISOString()).toBe(body.nextFireAt);
    expect((await platform.until(fire!.job_id, 'completed')).runAt).toBe(body.nextFireAt);
    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
  });

  it('is executed once, also among many', async () => {
    const jobs = await submitEffects('many', 200, 0);

    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
    expect(await effectsOf(jobs)).toEqual({ effects: 200, jobs: 200 });
    expect(await attemptsOf(jobs)).toBe(200);
  });

  it('is handed back by a worker that is told to end, and completes on the next one', async () => {
    const jobs = await submitEffects('handed back', 10, 1_500);
    await platform.untilSql('SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL', 10);

    expect(await platform.workers[0]?.stop('SIGTERM', 10_000)).toBe(0);
    await platform.startWorker();

    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
    expect(await effectsOf(jobs)).toEqual({ effects: 10, jobs: 10 });
    expect(await attemptsOf(jobs)).toBe(10);
  });

  function submitEffects(key: string, count: number, holdMs: number): Promise<JobView[]> {
    const jobs = Array.from({ length: count }, (_, n) => ({
      type: 'record_effect',
      data: { key: `${key} ${n}`, holdMs },
    }));
    return platform.submitMany(jobs);
  }

  async function effectsOf(jobs: JobView[]): Promise<object | undefined> {
    const [row] = await platform.sql(
      'SELECT count(*)::int AS effects, count(DISTINCT job_id)::int AS jobs FROM effects WHERE job_id = ANY($1)',
      [jobs.map(({ id }) => id)],
    );
    return row;
  }

  function attemptsOf(jobs: JobView[]): Promise<number> {
    const ids = jobs.map(({ id }) => id);
    return platform.value<number>('SELECT count(*)::int FROM all_attempts WHERE job_id = ANY($1)', [ids]);
  }
});
