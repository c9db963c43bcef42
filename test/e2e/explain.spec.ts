import { buildLedger } from '../support/extension.js';
import { type JobView, startPlatform, type TestPlatform } from '../support/platform.js';

interface Explanation {
  status: string;
  summary: string;
  gates: { gate: string; reason: string; opens: string }[];
  position: { ahead: number; atLeast: boolean } | null;
  startsAt: { p50: string; p90: string } | null;
}

const AN_HOUR = 3_600_000;
const NOBODY = '01890000-0000-7000-8000-000000000000';
const demo = (durationMs: number) => ({ type: 'demo', data: { durationMs } });

describe.each(['redis', 'postgres'] as const)('GET /jobs/:id/explain on the %s backend', (backend) => {
  let platform: TestPlatform;

  beforeAll(async () => {
    platform = await startPlatform({
      backend,
      env: { EXTENSIONS: buildLedger(), WORKER_CONCURRENCY: '10' },
    });
  });
  afterAll(() => platform?.stop());

  const explain = async (id: string) => {
    const { status, body } = await platform.request<Explanation>('GET', `/jobs/${id}/explain`);
    expect(status).toBe(200);
    return body;
  };
  const gatesOf = ({ gates }: Explanation) => gates.map(({ gate }) => gate);

  it('leads from gate to gate until the job has run', async () => {
    await platform.request('POST', '/queues/default/pause');
    const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: AN_HOUR });

    const delayed = await explain(id);
    expect(gatesOf(delayed)).toEqual(['delayed', 'paused']);
    expect(delayed).toMatchObject({ status: 'delayed', position: { ahead: 0 }, startsAt: null });
    await platform.request('POST', `/jobs/${id}/run-now`);

    const [paused, ...more] = (await explain(id)).gates;
    expect(paused!.opens).toBe('POST /queues/default/resume.');
    expect(more).toEqual([]);
    await platform.request('POST', '/queues/default/resume');

    await platform.until(id, 'completed');
    expect(await explain(id)).toMatchObject({
      status: 'completed',
      summary: expect.stringMatching(/^It completed on attempt 1 of 3/),
      gates: [],
      startsAt: null,
    });
  });

  it('tells the failure behind a back-off, and what a failed job came to', async () => {
    const { id } = await platform.submit('always_fails', { message: 'no' });
    await platform.until(id, 'failed');
    expect((await explain(id)).summary).toMatch(/^It failed at .* after 2 of 2 attempts, with HANDLER_ERROR/);

    const options = { backoff: { kind: 'fixed', delay: AN_HOUR } };
    const waits = await platform.submit('demo', { durationMs: 0, failAttempts: 1 }, options);
    await platform.untilSql(`SELECT delivery FROM dispatch WHERE job_id = '${waits.id}'`, 2);
    expect((await explain(waits.id)).summary).toMatch(
      /^Attempt 1 of 3 failed after \d+ ms with HANDLER_ERROR \(demo failure 1 of 1\)\. Attempt 2 of 3 is due at/,
    );
  });

  it('tells how often a start fell before its p90, of 1,000 jobs', async () => {
    // What the estimate is measured from.
    await platform.submitMany(Array<object>(60).fill(demo(40)) as { type: string; data: unknown }[]);
    await platform.untilSql(`SELECT (sum(deliveries) >= 60) FROM job_statistics WHERE type = 'demo'`, true);

    const jobs = await platform.submitMany(
      Array.from({ length: 1_000 }, (_, n) => demo(20 + ((n * 7) % 60))),
    );
    const estimates = await estimatesFor(jobs);
    await platform.untilSql(`SELECT count(*)::int FROM dispatch WHERE run_at <= now()`, 0, 60_000);

    const started = await startsOf(jobs);
    const met = estimates.map(({ id, asked, p50, p90 }) => {
      const start = started.get(id)!;
      return {
        underP50: start <= p50,
        underP90: start <= p90,
        generosity: (p90 - asked) / Math.max(1_000, start - asked),
      };
    });
    const share = (of: 'underP50' | 'underP90') => met.filter((each) => each[of]).length / met.length;
    const generosity = met.map((each) => each.generosity).sort((a, b) => a - b)[met.length >> 1]!;
    process.stdout.write(
      `${backend}: of ${met.length} estimates ${percent(share('underP90'))} of the starts fell before p90, ` +
        `${percent(share('underP50'))} before p50; p90 was ${generosity.toFixed(2)} times the true wait at the median\n`,
    );

    expect(met.length).toBeGreaterThan(100);
    expect(share('underP90')).toBeGreaterThan(0.6);
    expect(generosity).toBeLessThan(4);
  });

  it('names the missing worker, and a job type that none of them has', async () => {
    await platform.sql(`UPDATE workers SET types = '["send_email"]'`);
    const { id } = await platform.submit('demo', { durationMs: 0 }, { delay: AN_HOUR });
    expect((await explain(id)).gates[1]).toMatchObject({
      gate: 'no_worker',
      reason: expect.stringContaining('none of them has a handler for demo'),
    });

    await platform.workers[0]!.stop('SIGTERM', 10_000);

    const { gates, startsAt } = await explain(id);
    expect(gates[1]).toMatchObject({ reason: 'No live worker serves the queue default.' });
    expect(startsAt).toBeNull();
  });

  it('answers 404 for a job that is not there, and 400 for what is no id', async () => {
    expect((await platform.request('GET', `/jobs/${NOBODY}/explain`)).status).toBe(404);
    expect(await platform.request('GET', '/jobs/1/explain')).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'id' }] },
    });
  });

  /** Asked for one after the other, while they run; of those that had not started by then. */
  async function estimatesFor(jobs: JobView[]) {
    const estimates: { id: string; asked: number; p50: number; p90: number }[] = [];
    for (const [n, { id }] of jobs.entries()) {
      // Every fifth, over the whole length of the queue: more would be what the workers wait for.
      if (n % 5 !== 0) continue;
      const asked = Date.now();
      const { startsAt } = await explain(id);
      if (startsAt)
        estimates.push({ id, asked, p50: Date.parse(startsAt.p50), p90: Date.parse(startsAt.p90) });
    }
    return estimates;
  }

  async function startsOf(jobs: JobView[]): Promise<Map<string, number>> {
    const rows = await platform.sql<{ id: string; started_at: Date }>(
      'SELECT id, started_at FROM jobs WHERE id = ANY($1)',
      [jobs.map(({ id }) => id)],
    );
    return new Map(rows.map((row) => [row.id, row.started_at.getTime()]));
  }
});

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
