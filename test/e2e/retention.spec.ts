import { startPlatform, type TestPlatform } from '../support/platform.js';

describe('retention', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ workers: 0, env: { RETENTION_DAYS: '10' } });
  });
  afterAll(() => platform?.stop());

  it('removes an old day, whose jobs are then as if they had never been', async () => {
    await platform.sql('SELECT ensure_partitions(12, 1)');
    const id = await platform.value<string>(
      `INSERT INTO jobs (id, type, queue, data, priority, max_attempts, backoff, timeout_ms, run_at, status, finished_at)
       SELECT uuid_v7(at), 'demo', 'default', '{"durationMs":0}', 100, 1, '{"kind":"fixed","delay":1}', 1000, at, 'completed', at
       FROM (SELECT now() - interval '12 days' AS at) AS made RETURNING id`,
    );
    expect(await platform.job(id)).toMatchObject({ status: 'completed' });
    const recent = await platform.submit('demo', { durationMs: 0 });

    const api = await platform.startApi(); // it looks as it starts
    await api.process.ready(/"swept"/);

    const { status, body } = await platform.request<{ code: string }>('GET', `/jobs/${id}`);
    expect([status, body.code]).toEqual([404, 'JOB_NOT_FOUND']);
    expect(await platform.listAll()).toMatchObject([{ id: recent.id }]);
  });
});
