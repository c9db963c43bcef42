import { setTimeout as sleep } from 'node:timers/promises';
import { type Page, startPlatform, type TestPlatform } from '../support/platform.js';

interface ScheduleView {
  name: string;
  words: string;
  paused: boolean;
  data: unknown;
  nextFireAt: string | null;
  nextFires: string[];
  lastFires: { at: string; jobId: string | null; skipped: string | null }[];
}

interface Problem {
  code: string;
  errors?: { path: string }[];
}

const SCHEDULES = 50;
const FIRES = 1_000;
const KILLS = 6;

const weekdays = {
  cron: '30 9 * * 1-5',
  timezone: 'Europe/Berlin',
  type: 'send_email',
  data: { to: 'ada@example.com', subject: 'Report', body: 'Good morning!' },
};

describe('schedules', () => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({ apis: 3 });
  });
  afterAll(() => platform?.stop());

  const put = <Body = ScheduleView>(name: string, body: object) =>
    platform.request<Body>('PUT', `/schedules/${name}`, body);
  const get = <Body = ScheduleView>(name: string) => platform.request<Body>('GET', `/schedules/${name}`);

  it('are made, read, changed and ended', async () => {
    const made = await put('report', weekdays);

    expect(made).toMatchObject({
      status: 201,
      body: {
        ...{ name: 'report', ...weekdays, every: null, options: {} },
        ...{ misfire: 'one', overlap: 'allow', paused: false },
        words: 'At 09:30, Monday through Friday (Europe/Berlin)',
      },
    });
    expect(made.headers.get('location')).toBe('/schedules/report');
    const { body } = await get('report');
    expect(body).toEqual({ ...made.body, nextFires: expect.any(Array), lastFires: [] });
    expect(body.nextFires).toHaveLength(10);
    expect(body.nextFires[0]).toBe(body.nextFireAt);
    expect(body.nextFires).toEqual([...new Set(body.nextFires)].sort());

    const changed = await put('report', { ...weekdays, paused: true, options: { tags: ['daily'] } });
    expect(changed).toMatchObject({ status: 200, body: { paused: true, nextFireAt: null } });
    expect((await get('report')).body.nextFires).toEqual(body.nextFires);

    expect((await platform.request('DELETE', '/schedules/report')).status).toBe(204);
    expect(await get<Problem>('report')).toMatchObject({
      status: 404,
      body: { code: 'SCHEDULE_NOT_FOUND' },
    });
    expect((await platform.request('DELETE', '/schedules/report')).status).toBe(404);
  });

  it('are listed by name, page by page', async () => {
    for (const name of ['list-c', 'list-a', 'list-b']) await put(name, { ...weekdays, paused: true });
    const list = async (query: string) =>
      (await platform.request<Page<ScheduleView>>('GET', `/schedules?${query}`)).body;

    const first = await list('limit=2');
    const second = await list(`limit=2&cursor=${first.nextCursor}`);

    expect(first.items.map(({ name }) => name)).toEqual(['list-a', 'list-b']);
    expect(second.items.map(({ name }) => name)).toEqual(['list-c']);
    expect(second.nextCursor).toBeNull();
    for (const name of ['list-a', 'list-b', 'list-c']) await platform.request('DELETE', `/schedules/${name}`);
  });

  it.each<[string, number, string, object]>([
    ['type', 422, 'INVALID_SCHEDULE', { type: 'unheard_of' }],
    ['data.to', 422, 'INVALID_SCHEDULE', { data: { to: 'nobody', subject: 's', body: '' } }],
    ['cron', 422, 'INVALID_SCHEDULE', { cron: '0 0 30 2 *' }],
    ['timezone', 422, 'INVALID_SCHEDULE', { timezone: 'Europe/Atlantis' }],
    ['every', 422, 'INVALID_SCHEDULE', { every: '1h' }],
    ['every', 400, 'VALIDATION_FAILED', { every: 'often' }],
    ['misfire', 400, 'VALIDATION_FAILED', { misfire: 'some' }],
    ['options.runAt', 400, 'VALIDATION_FAILED', { options: { runAt: '2030-01-01T00:00:00Z' } }],
  ])('are refused with the field %s named, by a %d', async (path, status, code, change) => {
    const refused = await put<Problem>('refused', { ...weekdays, ...change });

    expect(refused).toMatchObject({ status, body: { code, errors: [{ path }] } });
    expect((await get('refused')).status).toBe(404);
  });

  it('make jobs that run, and leave a time out while the last one does where they are told to', async () => {
    await put('slow', { every: 1_000, type: 'demo', data: { durationMs: 2_500 }, overlap: 'skip' });

    await platform.untilSql("SELECT count(*) > 1 FROM schedule_fires WHERE skipped = 'overlap'", true);
    const { lastFires } = (await get('slow')).body;
    await platform.request('DELETE', '/schedules/slow');

    const [first] = lastFires.filter(({ jobId }) => jobId !== null).reverse();
    const job = await platform.until(first!.jobId!, 'completed');
    expect(job).toMatchObject({ type: 'demo', runAt: first!.at });
    expect(lastFires).toContainEqual({ at: expect.any(String), jobId: null, skipped: 'overlap' });
  });

  it('are in the OpenAPI document, with examples that are taken as they stand', async () => {
    const { body } = await platform.request<{
      paths: Record<string, Record<string, { responses: object; requestBody?: Examples }>>;
    }>('GET', '/docs-json');
    const { put: putting, get: reading, delete: ending } = body.paths['/schedules/{name}']!;

    expect(Object.keys(putting!.responses)).toEqual(
      expect.arrayContaining(['200', '201', '400', '409', '413', '415', '422', '503']),
    );
    expect(Object.keys(reading!.responses)).toEqual(expect.arrayContaining(['200', '400', '404', '503']));
    expect(Object.keys(ending!.responses)).toEqual(expect.arrayContaining(['204', '400', '404', '503']));
    const { examples } = putting!.requestBody!.content['application/json'];
    expect(Object.keys(examples)).toHaveLength(2);
    for (const [name, { value }] of Object.entries(examples)) {
      expect((await put(name, value)).status).toBe(201);
      await platform.request('DELETE', `/schedules/${name}`);
    }
  });

  it(`have ${FIRES} times fired once each, by three processes that are killed and come back`, async () => {
    await platform.sql('DELETE FROM schedule_fires');
    const jobsBefore = await platform.value<number>('SELECT count(*)::int FROM jobs');
    const everySecond = { every: '1s', type: 'demo', data: { durationMs: 0 }, misfire: 'all' };
    const names = Array.from({ length: SCHEDULES }, (_, n) => `every-second-${n}`);
    const made = await Promise.all(names.map((name) => put(name, everySecond)));
    expect(made.filter(({ status }) => status !== 201)).toEqual([]);

    let kills = 0;
    const killOne = async (): Promise<void> => {
      const [api] = platform.apis.splice(Math.floor(Math.random() * platform.apis.length), 1);
      await sleep(Math.random() * 400); // somewhere between two ticks
      await api?.process.kill();
      kills++;
    };
    await platform.untilSql('SELECT count(*) > 0 FROM schedule_fires', true);
    await Promise.all([killOne(), killOne(), killOne()]);
    await platform.untilSql("SELECT max(fire_at) < now() - interval '3 seconds' FROM schedule_fires", true);
    await Promise.all([platform.startApi(), platform.startApi(), platform.startApi()]);
    while (kills < KILLS || (await fireCount()) < FIRES) {
      await killOne();
      await platform.startApi();
    }
    await Promise.all(names.map((name) => put(name, { ...everySecond, paused: true })));

    const fires = await platform.sql<{ schedule: string; times: number; span: number; first: Date }>(`
      SELECT schedule, count(*)::int AS times, min(fire_at) AS first,
        (extract(epoch FROM max(fire_at) - min(fire_at)) + 1)::int AS span
      FROM schedule_fires GROUP BY schedule`);
    expect(new Map(fires.map(({ schedule, first }) => [schedule, first.toISOString()]))).toEqual(
      new Map(made.map(({ body }) => [body.name, body.nextFireAt])),
    );
    expect(fires.filter(({ times, span }) => times !== span)).toEqual([]);

    const total = await fireCount();
    process.stdout.write(`${total} times of ${SCHEDULES} schedules over ${kills} kills\n`);
    expect(await platform.value('SELECT count(*)::int FROM jobs')).toBe(jobsBefore + total);
    expect(
      await platform.value(
        'SELECT count(DISTINCT j.id)::int FROM schedule_fires f JOIN jobs j ON j.id = f.job_id',
      ),
    ).toBe(total);
    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0, 60_000);
    expect(
      await platform.value(
        "SELECT count(*)::int FROM schedule_fires f JOIN jobs j ON j.id = f.job_id WHERE j.status = 'completed'",
      ),
    ).toBe(total);
  });

  function fireCount(): Promise<number> {
    return platform.value<number>('SELECT count(*)::int FROM schedule_fires');
  }
});

interface Examples {
  content: { 'application/json': { examples: Record<string, { value: object }> } };
}
