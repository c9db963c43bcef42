import { aDraft } from '../../test/support/job-drafts.js';
import { queuesOf } from '../../test/support/queues.js';
import { Lanes } from '../jobs/delivery/lanes.js';
import type { JobDraft } from '../jobs/job.js';
import { GetJobStatusUseCase } from '../jobs/use-cases/get-job-status.use-case.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';
import { ExplainJobUseCase } from './explain-job.use-case.js';
import type { Explanation } from './explanation.js';
import { MOST_COUNTED } from './gates.js';

const tenant = 'default';
const lane = { queue: 'default', shard: 0 };
const START = Date.UTC(2026, 0, 1);

async function setup(draft: Partial<JobDraft> = {}) {
  const { jobs, statistics, workers, listWorkers } = queuesOf('default');
  const status = new GetJobStatusUseCase(jobs);
  const lanes = new Lanes(['default'], 1);
  const explainJob = new ExplainJobUseCase(jobs, status, listWorkers, statistics, lanes);
  const submit = async (more: Partial<JobDraft> = {}) => (await jobs.insert([aDraft(more)]))[0]!;
  const job = await submit(draft);
  const explain = (id = job.id, whose = tenant) => explainJob.execute({ tenant: whose, id });
  const claim = async (id = job.id) => {
    const { delivery } = (await jobs.find(tenant, id))!;
    const answer = await jobs.claim({ jobId: id, delivery, token: `token ${id} ${delivery}`, workerId: 'w' });
    if (answer.kind !== 'claimed') throw new Error(answer.kind);
    return answer.claim;
  };
  const fail = async (message = 'no route to host', retryIn?: number) => {
    const error = { code: 'HANDLER_ERROR', message };
    await jobs.settle({ ...(await claim()), outcome: 'failed', error, retryIn });
  };
  /** A worker, and a relay that has pushed what was submitted. */
  const works = async (types = ['send_email'], concurrency = 2) => {
    workers.beat(new WorkerIdentity([{ name: 'default', concurrency }], types));
    await jobs.leaseLanes('relay', [lane], 3_600_000);
    await jobs.markPushed([{ jobId: job.id, delivery: (await jobs.find(tenant, job.id))!.delivery }]);
  };
  return { jobs, statistics, workers, job, submit, explain, claim, fail, works };
}

const gatesOf = ({ gates }: Explanation) => gates.map(({ gate }) => gate);

describe('a job that waits for its start', () => {
  it('has nothing in its way where a worker is idle', async () => {
    const { explain, works } = await setup();
    await works();

    expect(await explain()).toMatchObject({
      ...{ status: 'waiting', gates: [], position: { ahead: 0, atLeast: false } },
      summary: 'Nothing is in its way: it is about to start.',
      startsAt: { p50: new Date(START + 100), p90: new Date(START + 1_000) },
    });
  });

  it('is told when it is due, and how to start it before', async () => {
    const { job, explain, works } = await setup({ delay: 60_000 });
    await works();

    const { gates, startsAt, summary } = await explain();

    expect(gates).toEqual([
      {
        gate: 'delayed',
        reason: 'It is due at 2026-01-01T00:01:00.000Z.',
        opens: `The clock, at 2026-01-01T00:01:00.000Z; or at once, POST /jobs/${job.id}/run-now.`,
      },
    ]);
    expect(summary).toBe('It is due at 2026-01-01T00:01:00.000Z.');
    expect(startsAt!.p50).toEqual(new Date(START + 60_100));
  });

  it('waits for its queue to be resumed, and nobody can tell when', async () => {
    const { jobs, explain, works } = await setup();
    await works();
    await jobs.pause('default');

    const { gates, startsAt } = await explain();

    expect(gates).toMatchObject([{ gate: 'paused', opens: 'POST /queues/default/resume.' }]);
    expect(startsAt).toBeNull();
  });

  it('waits for a worker, be it of its queue or of its type', async () => {
    const { explain, works, workers } = await setup();
    const [none] = (await explain()).gates;
    expect(none).toMatchObject({ gate: 'no_worker', reason: 'No live worker serves the queue default.' });

    await works(['demo']);
    const foreign = await explain();
    expect(foreign.gates).toMatchObject([
      { gate: 'no_worker', reason: expect.stringContaining('handler for send_email') },
      { gate: 'behind' },
    ]);
    expect(foreign.startsAt).toBeNull();

    await works();
    expect(gatesOf(await explain())).toEqual([]);
    workers.advance(60_000);
    expect(gatesOf(await explain())).toContain('no_worker');
  });

  it('waits for the relay, or for a process that relays', async () => {
    const { jobs, submit, explain, works } = await setup();
    await works(undefined, 50);
    const { id } = await submit();

    expect((await explain(id)).gates[0]).toMatchObject({
      gate: 'not_relayed',
      opens: expect.stringContaining('within a second'),
    });
    await jobs.returnLanes('relay');
    expect((await explain(id)).gates[0]).toMatchObject({
      gate: 'not_relayed',
      reason: 'No process relays the queue default at the moment.',
    });
  });

  it('is behind others, and starts once as many have ended', async () => {
    const { jobs, statistics, submit, explain, works } = await setup();
    await works();
    for (let n = 0; n < 9; n++) await submit();
    const last = await submit();
    await jobs.markPushed([{ jobId: last.id, delivery: 1 }]);
    const counts = { submitted: 0, completed: 0, failed: 0, retried: 0, wait: [], run: [] };
    await statistics.add([
      { tenant: 'another', queue: 'default', type: 'demo', ...counts, deliveries: 10, slotMs: 10_000 },
    ]);

    const { gates, position, startsAt } = await explain(last.id);

    expect(gates).toMatchObject([{ gate: 'behind', reason: expect.stringMatching(/^10 jobs go before it/) }]);
    expect(position).toEqual({ ahead: 10, atLeast: false });
    expect(startsAt!.p50).toEqual(new Date(START + (9 * 1_000) / 2 + 100));
    expect(startsAt!.p90.getTime()).toBeGreaterThan(startsAt!.p50.getTime() + 2_000);
  });

  it('counts a long backlog no further than it must', async () => {
    const { jobs, explain, works } = await setup({
      options: { ...aDraft().options, priority: 200 },
    });
    await works();
    await jobs.insert(Array.from({ length: MOST_COUNTED + 5 }, () => aDraft()));

    const { gates, position } = await explain();

    expect(position).toEqual({ ahead: MOST_COUNTED, atLeast: true });
    expect(gates[0]!.reason).toMatch(/^At least 10000 jobs go before it/);
  });

  it('runs alone once it has crashed its process twice', async () => {
    const { jobs, claim, explain, works } = await setup();
    for (let crash = 1; crash <= 2; crash++) {
      await claim();
      jobs.advance(11_000);
      await jobs.reap(10_000, 3);
    }
    await works();

    expect((await explain()).gates).toMatchObject([
      { gate: 'alone', reason: '2 processes died with this job in hand, so that it runs alone.' },
    ]);
  });

  it('names every gate at once', async () => {
    const { jobs, explain } = await setup({ delay: 60_000 });
    await jobs.pause('default');

    expect(gatesOf(await explain())).toEqual(['delayed', 'paused', 'no_worker', 'behind']);
  });
});

describe('a job between two attempts', () => {
  it('tells in words how the last one failed, and when the next is due', async () => {
    const { explain, fail, works } = await setup();
    await fail('no route to host', 30_000);
    await works();

    const { summary, gates } = await explain();

    expect(summary).toBe(
      'Attempt 1 of 3 failed after 0 ms with HANDLER_ERROR (no route to host). ' +
        'Attempt 2 of 3 is due at 2026-01-01T00:00:30.000Z.',
    );
    expect(gates).toMatchObject([{ gate: 'delayed' }]);
  });

  it('does not cut a long message within a character', async () => {
    const { explain, fail } = await setup();
    await fail('🐌'.repeat(4_000), 30_000);

    const { summary } = await explain();

    expect(summary.isWellFormed()).toBe(true);
    expect(summary).toContain(`(${'🐌'.repeat(200)}…)`);
  });
});

describe('a job that runs or is over', () => {
  it('tells since when its attempt has been running, and how the one before failed', async () => {
    const { jobs, explain, fail, claim } = await setup();
    await fail('no', 1_000);
    jobs.advance(1_000);
    await claim();

    expect(await explain()).toMatchObject({
      ...{ status: 'active', gates: [], position: null, startsAt: null },
      summary:
        'Attempt 2 of 3 has been running since 2026-01-01T00:00:01.000Z. Attempt 1 of 3 failed after 0 ms with HANDLER_ERROR (no).',
    });
  });

  it('tells how it completed', async () => {
    const { jobs, claim, explain } = await setup();
    await jobs.settle({ ...(await claim()), outcome: 'completed', result: null });

    expect((await explain()).summary).toBe('It completed on attempt 1 of 3, at 2026-01-01T00:00:00.000Z.');
  });

  it('tells why it failed, and that it may be retried', async () => {
    const { job, explain, fail } = await setup();
    await fail();

    expect((await explain()).summary).toBe(
      'It failed at 2026-01-01T00:00:00.000Z, after 1 of 3 attempts, with HANDLER_ERROR (no route to host). ' +
        `POST /jobs/${job.id}/retry runs it again.`,
    );
  });

  it('tells that it expired, or was cancelled, before it started', async () => {
    const expiring = await setup({ expiresAt: new Date(START + 1) });
    expiring.jobs.advance(1);
    await expiring.jobs.expire(1);
    const cancelled = await setup();
    await cancelled.jobs.cancel(tenant, cancelled.job.id);

    expect((await expiring.explain()).summary).toContain(
      'with EXPIRED (It did not start before it expired.)',
    );
    expect((await cancelled.explain()).summary).toContain('It was cancelled');
  });
});

it('looks again where the job was taken between two looks', async () => {
  const { jobs, claim, explain } = await setup();
  const standing = jobs.standing.bind(jobs);
  jest.spyOn(jobs, 'standing').mockImplementationOnce(async (...asked) => {
    await claim();
    return standing(...asked);
  });

  expect(await explain()).toMatchObject({ status: 'active', gates: [] });
});

it("knows no other tenant's job", async () => {
  const { job, explain } = await setup();

  await expect(explain(job.id, 'other')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
});
