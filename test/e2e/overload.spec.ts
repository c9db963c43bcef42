import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, type TestPlatform } from '../support/platform.js';

interface Refusal {
  code: string;
  queue: string;
  depth: number;
  maxDepth: number;
}

const aJob = { type: 'demo', data: { durationMs: 0 } };

describe('a queue with a limit', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ workers: 0, env: { QUEUE_MAX_DEPTH: '5' } });
  });
  afterAll(() => platform.stop());

  const submit = (path = '/jobs', body: unknown = aJob) => platform.request<Refusal>('POST', path, body);
  /** The limit is judged by a count that is half a second old at most, or a little more. */
  async function submitUntil(status: number) {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const answer = await submit();
      if (answer.status === status || Date.now() > deadline) return answer;
      await sleep(100);
    }
  }

  it('takes no more once too many wait, and says when to come again', async () => {
    const [first] = await platform.submitMany(Array.from({ length: 6 }, () => aJob));

    const refusal = await submitUntil(429);

    expect(refusal.body).toMatchObject({ code: 'QUEUE_FULL', queue: 'default', maxDepth: 5 });
    expect(refusal.body.depth).toBeGreaterThan(5);
    expect(Number(refusal.headers.get('retry-after'))).toBe(30);
    expect((await submit('/jobs/bulk', { jobs: [aJob] })).status).toBe(429);
    expect((await platform.request('POST', `/jobs/${first?.id}/cancel`)).status).toBe(200);
  });

  it('goes on with what was accepted before: schedules and retries', async () => {
    const [cancelled] = (await platform.list('status=cancelled')).items;
    const schedule = { every: '1s', ...aJob };

    expect((await platform.request('POST', `/jobs/${cancelled?.id}/retry`)).status).toBeLessThan(300);
    expect((await platform.request('PUT', '/schedules/often', schedule)).status).toBeLessThan(300);
    await platform.untilSql(`SELECT count(*) > 0 FROM schedule_fires`, true);
    expect((await submit()).status).toBe(429);
    await platform.request('DELETE', '/schedules/often');
  });

  it('counts its refusals', async () => {
    const { body } = await platform.request<{ process: { refused: { queueFull: number } } }>('GET', '/stats');

    expect(body.process.refused.queueFull).toBeGreaterThanOrEqual(3);
  });

  it('takes more when there is room again, and has lost nothing', async () => {
    await platform.startWorker();

    expect((await submitUntil(202)).status).toBe(202);
    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0);
    const statuses = (await platform.listAll()).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set(['completed']));
  });
});

describe('an API that cannot get rid of what it takes', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    // Room for sixteen small requests.
    platform = await startPlatform({ env: { BODY_TOTAL_LIMIT: '256kb' } });
  });
  afterAll(() => platform.stop());

  it('holds so much, refuses the rest at once, and loses nothing that it accepted', async () => {
    await platform.submit(aJob.type, aJob.data);
    await platform.sql('BEGIN');
    await platform.sql('LOCK TABLE dispatch IN ACCESS EXCLUSIVE MODE');
    const refused: Headers[] = [];
    const all = Array.from({ length: 100 }, async () => {
      const answer = await platform.request<{ id: string; code: string }>('POST', '/jobs', aJob);
      if (answer.body.code === 'OVERLOADED') refused.push(answer.headers);
      return answer;
    });
    // They are answered while the others wait.
    for (const deadline = Date.now() + 10_000; refused.length < 84 && Date.now() < deadline; await sleep(20));
    const beside = await platform.request('GET', '/health/live');
    await platform.sql('COMMIT');

    expect(beside.status).toBe(200);
    expect(refused).toHaveLength(84);
    expect(refused.map((headers) => headers.get('retry-after'))).toEqual(Array(84).fill('1'));
    const accepted = (await Promise.all(all)).filter(({ status }) => status === 202);
    expect(accepted).toHaveLength(16);
    for (const { body } of accepted) await platform.until(body.id, 'completed');
    expect((await platform.request('POST', '/jobs', aJob)).status).toBe(202);
  });

  it('tells what it has refused, and in a line of its log', async () => {
    const { body } = await platform.request<{ process: object }>('GET', '/stats');
    const lines = platform.apis[0]?.process.output().match(/"submits refused"/g);

    expect(body.process).toMatchObject({ bodyBytes: 0, pendingRows: 0, refused: { bodies: 84 } });
    expect(lines).toHaveLength(1);
  });
});
