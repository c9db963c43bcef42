import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { IllegalTransition } from '../../src/jobs/job.errors.js';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import type { JobStatus } from '../../src/jobs/job.js';
import { aDraft } from '../support/job-drafts.js';
import { anError } from './record-scene.js';

/** Steps of time are long beside what a step of the test takes on a real clock. */
const DELAY = 60_000;
const LEASE = 10_000;
const CRASH_LIMIT = 2;

/** The record under test, with jobs that no other run knows. */
export interface Real {
  jobs: JobRepository;
  advance(ms: number): Promise<void>;
  tenant: string;
  queue: string;
  ids: string[];
}

interface ModelClaim {
  token: string;
  delivery: number;
  at: number;
  alone: boolean;
}

/** What is known of one job by what was done to it, and by nothing else. */
interface ModelJob {
  ended?: 'completed' | 'failed' | 'cancelled';
  delivery: number;
  runAt: number;
  pushed: boolean;
  claim?: ModelClaim;
  run: number;
  attempts: number;
  attemptsOfAllRuns: number;
  solo: number;
  /** Of this job's claims, the latest last; a stale write bears one of them. */
  claims: ModelClaim[];
  settled: Set<string>;
}

interface Model {
  now: number;
  paused: boolean;
  jobs: ModelJob[];
}

type Command = fc.AsyncCommand<Model, Real>;

/** A step on one job of those that there are. */
class Step implements Command {
  constructor(
    private readonly name: string,
    private readonly pick: number,
    private readonly act: (job: ModelJob, id: string, model: Model, real: Real) => Promise<void>,
  ) {}

  check({ jobs }: Readonly<Model>): boolean {
    return jobs.length > 0;
  }

  async run(model: Model, real: Real): Promise<void> {
    const index = this.pick % model.jobs.length;
    await this.act(model.jobs[index]!, real.ids[index]!, model, real);
    await agree(model, real);
  }

  toString(): string {
    return `${this.name}(${this.pick})`;
  }
}

/** A step on the record as a whole. */
class Turn implements Command {
  constructor(
    private readonly name: string,
    private readonly act: (model: Model, real: Real) => Promise<void>,
  ) {}

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.act(model, real);
    await agree(model, real);
  }

  toString(): string {
    return this.name;
  }
}

const picked = fc.nat({ max: 2 });
/** 0 is the latest claim; beyond it they are old. */
const which = fc.nat({ max: 2 });

const submit = fc.constantFrom(0, DELAY).map(
  (delay) =>
    new Turn(`submit(${delay})`, async (model, { jobs, tenant, queue, ids }) => {
      if (model.jobs.length === 3) return;
      const [job] = await jobs.insert([aDraft({ tenant, queue, delay })]);
      ids.push(job!.id);
      model.jobs.push({
        ...{ delivery: 1, runAt: model.now + delay, pushed: false, run: 1, attempts: 0, solo: 0 },
        ...{ attemptsOfAllRuns: 0, claims: [], settled: new Set() },
      });
    }),
);

const push = fc.tuple(picked, fc.boolean()).map(
  ([pick, current]) =>
    new Step(`push ${current ? 'current' : 'stale'}`, pick, async (job, jobId, _model, { jobs }) => {
      await jobs.markPushed([{ jobId, delivery: current ? job.delivery : job.delivery - 1 }]);
      if (current && !job.ended && !job.claim) job.pushed = true;
    }),
);

const claim = fc.tuple(picked, fc.boolean()).map(
  ([pick, current]) =>
    new Step(`claim ${current ? 'current' : 'stale'}`, pick, async (job, jobId, model, { jobs }) => {
      const delivery = current ? job.delivery : job.delivery - 1;
      const token = randomUUID();
      const answer = await jobs.claim({ jobId, delivery, token, workerId: randomUUID() });
      if (!current || job.ended || job.claim) return void expect(answer).toEqual({ kind: 'gone' });
      if (model.paused || job.runAt > model.now) {
        expect(answer).toEqual({ kind: 'held' });
        return takeBack(job);
      }
      expect(answer).toMatchObject({
        kind: 'claimed',
        claim: { attempt: job.attempts + 1, run: job.run, delivery },
      });
      job.claim = { token, delivery, at: model.now, alone: false };
      job.pushed = true;
      job.claims.push(job.claim);
    }),
);

const claimAgain = fc.tuple(picked, which).map(
  ([pick, age]) =>
    new Step(`claim again ${age}`, pick, async (job, jobId, _model, { jobs }) => {
      const old = job.claims.at(-1 - age);
      if (!old) return;
      const { token, delivery } = old;
      const answer = await jobs.claim({ jobId, delivery, token, workerId: randomUUID() });
      expect(answer.kind).toBe(job.claim?.token === token ? 'claimed' : 'gone');
    }),
);

const complete = fc.tuple(picked, which, fc.boolean()).map(
  ([pick, age, withEffect]) =>
    new Step(`complete ${age}`, pick, async (job, jobId, _model, { jobs }) => {
      const token = job.claims.at(-1 - age)?.token ?? randomUUID();
      if (withEffect && !job.settled.has(token)) {
        const settled = await jobs.settleWith({ jobId, token }, () => Promise.resolve('effect'));
        expect(settled).toEqual(job.claim?.token === token ? { result: 'effect' } : undefined);
      } else {
        const settled = await jobs.settle({ jobId, token, outcome: 'completed', result: null });
        expect(settled).toBe(job.claim?.token === token || job.settled.has(token));
      }
      if (job.claim?.token === token) settle(job, token, 'completed');
    }),
);

const fail = fc.tuple(picked, which, fc.boolean()).map(
  ([pick, age, again]) =>
    new Step(`fail ${age}${again ? ', again later' : ''}`, pick, async (job, jobId, model, { jobs }) => {
      const token = job.claims.at(-1 - age)?.token ?? randomUUID();
      const retryIn = again ? DELAY : undefined;
      const settled = await jobs.settle({ jobId, token, outcome: 'failed', error: anError, retryIn });
      expect(settled).toBe(job.claim?.token === token || job.settled.has(token));
      if (job.claim?.token !== token) return;
      settle(job, token, again ? undefined : 'failed');
      if (again) job.runAt = model.now + DELAY;
    }),
);

const release = fc.tuple(picked, which).map(
  ([pick, age]) =>
    new Step(`release ${age}`, pick, async (job, jobId, _model, { jobs }) => {
      const token = job.claims.at(-1 - age)?.token ?? randomUUID();
      const current = job.claim?.token === token;
      expect(await jobs.release({ jobId, token }, 'a test')).toBe(current);
      if (current) takeBack(job);
    }),
);

const report = fc.tuple(picked, which).map(
  ([pick, age]) =>
    new Step(`report ${age}`, pick, async (job, jobId, _model, { jobs }) => {
      const token = job.claims.at(-1 - age)?.token ?? randomUUID();
      const fact = { jobId, token, run: 1, attempt: 1, progress: { percent: 50 }, lines: [] };
      expect(await jobs.report(fact)).toBe(job.claim?.token === token);
    }),
);

const markAlone = picked.map(
  (pick) =>
    new Step('mark alone', pick, async (job, jobId, _model, { jobs }) => {
      const token = job.claims.at(-1)?.token ?? randomUUID();
      expect(await jobs.markAlone({ jobId, token })).toBe(job.claim?.token === token);
      if (job.claim?.token === token) job.claim.alone = true;
    }),
);

const redeliver = picked.map(
  (pick) =>
    new Step('redeliver', pick, async (job, jobId, _model, { jobs }) => {
      const lost = !job.ended && !job.claim && job.pushed;
      expect(await jobs.redeliver([{ jobId, delivery: job.delivery }])).toBe(lost ? 1 : 0);
      if (lost) takeBack(job);
    }),
);

const retry = picked.map(
  (pick) =>
    new Step('retry', pick, async (job, id, model, { jobs, tenant }) => {
      const retried = jobs.retry(tenant, id);
      if (job.ended !== 'failed' && job.ended !== 'cancelled')
        return expect(retried).rejects.toBeInstanceOf(IllegalTransition);
      expect(await retried).toMatchObject({ status: 'waiting', run: job.run + 1 });
      const delivery = job.delivery + 1;
      Object.assign(job, { ended: undefined, run: job.run + 1, attempts: 0, delivery, pushed: false });
      Object.assign(job, { runAt: model.now, solo: 0 });
    }),
);

const cancel = picked.map(
  (pick) =>
    new Step('cancel', pick, async (job, id, _model, { jobs, tenant }) => {
      const cancelled = jobs.cancel(tenant, id);
      if (job.ended) return expect(cancelled).rejects.toBeInstanceOf(IllegalTransition);
      expect(await cancelled).toMatchObject({ status: 'cancelled', delivery: job.delivery });
      Object.assign(job, { ended: 'cancelled', claim: undefined });
    }),
);

const runNow = picked.map(
  (pick) =>
    new Step('run now', pick, async (job, id, model, { jobs, tenant }) => {
      const moved = jobs.runNow(tenant, id);
      if (statusOf(job, model.now) !== 'delayed')
        return expect(moved).rejects.toBeInstanceOf(IllegalTransition);
      expect(await moved).toMatchObject({ status: 'waiting', delivery: job.delivery });
      job.runAt = model.now;
    }),
);

const pass = fc.constantFrom(1_000, LEASE + 1_000, DELAY + 1_000).map(
  (ms) =>
    new Turn(`pass(${ms})`, async (model, { advance }) => {
      await advance(ms);
      model.now += ms;
    }),
);

/** No worker here has a heartbeat: each is dead once its claim is older than the lease. */
const reap = fc.constant(
  new Turn('reap', async (model, { jobs, ids }) => {
    const reaped = await jobs.reap(LEASE, CRASH_LIMIT);
    for (const [index, job] of model.jobs.entries()) {
      const dead = job.claim && model.now - job.claim.at > LEASE;
      const found = reaped.find(({ jobId }) => jobId === ids[index]);
      expect(found !== undefined).toBe(dead === true);
      if (!dead) continue;
      if (job.claim?.alone) job.solo++;
      const quarantined = job.solo >= CRASH_LIMIT;
      expect(found).toMatchObject({ quarantined });
      if (quarantined) Object.assign(job, { ended: 'failed', claim: undefined });
      else takeBack(job);
    }
  }),
);

const pause = fc.boolean().map(
  (paused) =>
    new Turn(paused ? 'pause' : 'resume', async (model, { jobs, queue }) => {
      await (paused ? jobs.pause(queue) : jobs.resume(queue));
      model.paused = paused;
    }),
);

function takeBack(job: ModelJob): void {
  Object.assign(job, { claim: undefined, pushed: false, delivery: job.delivery + 1 });
}

function settle(job: ModelJob, token: string, ended: ModelJob['ended']): void {
  job.settled.add(token);
  job.attempts++;
  job.attemptsOfAllRuns++;
  if (ended) Object.assign(job, { ended, claim: undefined });
  else takeBack(job);
}

function statusOf({ ended, claim, runAt }: ModelJob, now: number): JobStatus {
  if (ended) return ended;
  if (claim) return 'active';
  return runAt > now ? 'delayed' : 'waiting';
}

/** What the record tells of every job is what the model expects. */
async function agree({ jobs, now }: Model, real: Real): Promise<void> {
  const told = await real.jobs.list(real.tenant, {}, { limit: 10 });
  const byId = new Map(told.map((job) => [job.id, job]));
  const seen = real.ids.map((id) => {
    const { status, delivery, run, attemptsMade } = byId.get(id)!;
    return { status, delivery, run, attemptsMade };
  });
  expect(seen).toEqual(
    jobs.map((job) => ({
      status: statusOf(job, now),
      delivery: job.delivery,
      run: job.run,
      attemptsMade: job.attempts,
    })),
  );
}

/**
 * Does what chance says to a record and to a model of it, so many times over, and shrinks what makes them differ.
 * @param open a fresh scene on the record for each run
 */
export async function checkAgainstModel(open: () => Real, runs: number, seed?: number): Promise<void> {
  const steps = [
    push,
    claim,
    claim,
    claimAgain,
    complete,
    fail,
    release,
    report,
    markAlone,
    redeliver,
    retry,
    cancel,
    runNow,
  ];
  const commands = fc.commands([submit, ...steps, pass, reap, pause], { maxCommands: 40, size: 'max' });
  await fc.assert(
    fc.asyncProperty(commands, async (list) => {
      const real = open();
      const model: Model = { now: 0, paused: false, jobs: [] };
      await fc.asyncModelRun(() => ({ model, real }), list);
      for (const [index, job] of model.jobs.entries()) {
        const history = await real.jobs.history(real.tenant, real.ids[index]!);
        expect(history?.attempts).toHaveLength(job.attemptsOfAllRuns);
        // What one run leaves live would make each later one slower.
        if (!job.ended) await real.jobs.cancel(real.tenant, real.ids[index]!);
      }
      await real.jobs.resume(real.queue);
    }),
    { numRuns: runs, ...(seed === undefined ? {} : { seed }) },
  );
}

/** Names that no other run has. */
export function freshScene(): Pick<Real, 'tenant' | 'queue' | 'ids'> {
  return { tenant: `tenant-${randomUUID()}`, queue: `queue-${randomUUID()}`, ids: [] };
}
