import { buildLedger } from '../support/extension.js';
import { postJobs, startPlatform, type TestPlatform } from '../support/platform.js';

const JOBS = 10_000;
const CONNECTIONS = 64;

describe('10,000 jobs over two APIs, two workers and four shards', () => {
  let platform: TestPlatform;
  let accepted: string[];

  beforeAll(async () => {
    platform = await startPlatform({
      apis: 2,
      workers: 2,
      shards: 4,
      env: { EXTENSIONS: buildLedger(), WORKER_CONCURRENCY: '100' },
    });
  });
  afterAll(() => platform?.stop());

  it('are all accepted, and all end completed', async () => {
    const start = performance.now();
    const answers = await postJobs(
      platform.apis.map(({ url }) => url),
      jobs(),
      CONNECTIONS,
    );
    const submitted = performance.now();
    accepted = answers.accepted.sort();
    expect(answers.refused).toBe(0);
    expect(new Set(accepted).size).toBe(JOBS);

    await platform.untilSql('SELECT count(*)::int FROM dispatch', 0, 90_000);
    const done = performance.now();
    const rate = (ms: number) => Math.round((JOBS / ms) * 1_000);
    process.stdout.write(
      `10,000 jobs: ${rate(submitted - start)} req/s, ${rate(done - start)} jobs/s from the first request to the last end\n`,
    );
    expect(await platform.sql('SELECT status, count(*)::int FROM jobs GROUP BY status')).toEqual([
      { status: 'completed', count: JOBS },
    ]);
  });

  it('are executed once each', async () => {
    const [effects] = await platform.sql(
      'SELECT count(*)::int AS effects, count(DISTINCT key)::int AS keys, count(DISTINCT job_id)::int AS jobs FROM effects',
    );
    expect(effects).toEqual({ effects: JOBS, keys: JOBS, jobs: JOBS });

    const [attempts] = await platform.sql(
      'SELECT count(*)::int AS attempts, max(number) AS last, max(run) AS run FROM all_attempts',
    );
    expect(attempts).toEqual({ attempts: JOBS, last: 1, run: 1 });
    expect(await platform.sql('SELECT kind, detail FROM job_events LIMIT 5')).toEqual([]);
  });

  it('used both workers and all four shards', async () => {
    const pids = await platform.sql<{ pid: number }>('SELECT pid, count(*) FROM effects GROUP BY pid');
    const shards = await platform.sql('SELECT DISTINCT job_shard(id, 4) FROM jobs');

    expect(pids.map(({ pid }) => pid).sort()).toEqual(platform.workers.map(({ pid }) => pid).sort());
    expect(shards).toHaveLength(4);
  });

  it('are paged through once each, and the API, PostgreSQL and the client agree', async () => {
    const listed = (await platform.listAll('status=completed&limit=200')).map(({ id }) => id);
    const recorded = await platform.sql<{ id: string }>(
      `SELECT id FROM jobs WHERE status = 'completed' ORDER BY id DESC`,
    );

    expect(listed).toHaveLength(JOBS);
    expect(listed).toEqual(recorded.map(({ id }) => id));
    expect([...listed].reverse()).toEqual(accepted);
    expect((await platform.list('status=waiting&status=active&status=failed&status=delayed')).items).toEqual(
      [],
    );
  });

  function* jobs(): Iterable<unknown> {
    for (let n = 0; n < JOBS; n++) yield { type: 'record_effect', data: { key: `effect ${n}` } };
  }
});
