import { startPlatform, type TestPlatform } from '../support/platform.js';

interface OperationView {
  id: string;
  status: 'running' | 'completed';
  matched: number;
  processed: number;
  changed: number;
}

interface Problem {
  code: string;
  errors: { path: string }[];
}

describe('decisions on many jobs', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ env: { WORKER_CONCURRENCY: '20' } });
  });
  afterAll(() => platform?.stop());

  const post = <Body>(path: string, body: unknown) => platform.request<Body>('POST', path, body);

  const submit = async (count: number, tag: string, data: object, options: object = {}): Promise<void> => {
    for (let left = count; left > 0; left -= 1_000) {
      const job = { type: 'demo', data, options: { tags: [tag], ...options } };
      await platform.submitMany(Array.from({ length: Math.min(left, 1_000) }, () => job));
    }
  };

  async function untilCompleted(id: string): Promise<OperationView> {
    await platform.untilSql(`SELECT status FROM operations WHERE id = '${id}'`, 'completed', 60_000);
    return (await platform.request<OperationView>('GET', `/operations/${id}`)).body;
  }

  const countOf = async (tag: string): Promise<Record<string, number>> => {
    const rows = await platform.sql<{ status: string; count: number }>(
      `SELECT coalesce(status, 'live') AS status, count(*)::int FROM jobs WHERE tags @> ARRAY[$1] GROUP BY 1`,
      [tag],
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  };

  it('cancel what matches, however much, over the death of the process that does it', async () => {
    await submit(10_000, 'many', { durationMs: 0 }, { delay: 3_600_000 });
    await submit(10, 'kept', { durationMs: 0 }, { delay: 3_600_000 });
    const filter = { tag: ['many'], status: ['delayed'] };

    const counted = await post<OperationView>('/jobs/cancel', { filter, dryRun: true });
    expect([counted.status, counted.body]).toEqual([200, { matched: 10_000 }]);
    expect(await countOf('many')).toEqual({ live: 10_000 });

    const started = await post<OperationView>('/jobs/cancel', { filter });
    expect(started.status).toBe(202);
    const { id } = started.body;
    expect(started.headers.get('location')).toBe(`/operations/${id}`);
    expect(started.body).toMatchObject({ kind: 'cancel', filter, matched: 10_000 });
    await platform.untilSql(`SELECT processed > 0 FROM operations WHERE id = '${id}'`, true);
    await platform.apis.shift()?.process.kill();
    await platform.startApi();

    const end = await untilCompleted(id);

    expect(end).toMatchObject({ status: 'completed', matched: 10_000, processed: 10_000, changed: 10_000 });
    expect(await countOf('many')).toEqual({ cancelled: 10_000 });
    expect(await countOf('kept')).toEqual({ live: 10 });
  });

  it('retry what failed', async () => {
    await submit(200, 'failing', { durationMs: 0, failAttempts: 1 }, { attempts: 1 });
    await platform.untilSql(`SELECT count(*)::int FROM dead_letters WHERE status = 'failed'`, 200);

    const { body } = await post<OperationView>('/jobs/retry', { filter: { tag: ['failing'] } });

    expect(await untilCompleted(body.id)).toMatchObject({ matched: 200, changed: 200 });
    await platform.untilSql(`SELECT count(*)::int FROM jobs WHERE run = 2`, 200);
    const again = await platform.listAll('tag=failing&limit=200');
    expect(again.map(({ run }) => run)).toEqual(again.map(() => 2));
  });

  it.each<[string, unknown, number, string, string]>([
    ['no filter', {}, 400, 'VALIDATION_FAILED', 'filter'],
    ['a filter that says nothing', { filter: {} }, 400, 'VALIDATION_FAILED', 'filter'],
    ['an unknown criterion', { filter: { id: 1 } }, 400, 'VALIDATION_FAILED', 'filter.id'],
    ['no list', { filter: { type: 'demo' } }, 400, 'VALIDATION_FAILED', 'filter.type'],
    ['an unknown state', { filter: { status: ['done'] } }, 400, 'VALIDATION_FAILED', 'filter.status'],
    ['a bad date', { filter: { createdFrom: 'today' } }, 400, 'VALIDATION_FAILED', 'filter.createdFrom'],
    ['a bad dryRun', { filter: { type: ['demo'] }, dryRun: 1 }, 400, 'VALIDATION_FAILED', 'dryRun'],
    [
      'a state that is over',
      { filter: { status: ['failed'] } },
      422,
      'CONTRADICTORY_OPTIONS',
      'filter.status',
    ],
  ])('refuse %s', async (_, body, status, code, path) => {
    const answer = await post<Problem>('/jobs/cancel', body);

    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.body.errors.map((error) => error.path)).toEqual([path]);
  });

  it('are not found where there is none', async () => {
    const { status, body } = await platform.request<Problem>(
      'GET',
      '/operations/01890000-0000-7000-8000-000000000000',
    );
    expect([status, body.code]).toEqual([404, 'OPERATION_NOT_FOUND']);
  });
});
