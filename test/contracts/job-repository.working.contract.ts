import { randomUUID } from 'node:crypto';
import { IllegalTransition } from '../../src/jobs/job.errors.js';
import type { Claim } from '../../src/jobs/job-repository.js';
import { anError, type Suite } from './record-scene.js';

export function describeWorking({ scene, record }: Suite): void {
  describe('a claim', () => {
    it('hands out all that an attempt needs', async () => {
      const at = scene();
      const job = await at.submit({ data: { a: 1 }, type: 'demo' });
      const request = at.request(job);

      const answer = await at.jobs.claim(request);

      expect(answer).toEqual({
        kind: 'claimed',
        claim: {
          jobId: job.id,
          delivery: 1,
          token: request.token,
          tenant: at.tenant,
          type: 'demo',
          queue: at.queue,
          data: { a: 1 },
          run: 1,
          attempt: 1,
          attempts: 3,
          backoff: { kind: 'fixed', delay: 1_000 },
          timeout: 30_000,
          crashes: 0,
          waited: expect.any(Number),
        },
      });
      expect(await at.found(job)).toMatchObject({
        status: 'active',
        startedAt: expect.any(Date),
        enqueuedAt: expect.any(Date),
        finishedAt: null,
      });
    });

    it('keeps the moment of the push', async () => {
      const at = scene();
      const job = await at.submit();
      await at.push(job);
      const { enqueuedAt } = await at.found(job);
      await record().wait(3);

      await at.claim(job);

      expect(enqueuedAt).toEqual(expect.any(Date));
      expect(await at.found(job)).toMatchObject({ enqueuedAt });
    });

    it('may be asked for again with the same token', async () => {
      const at = scene();
      const job = await at.submit();
      const request = at.request(job);
      const first = await at.jobs.claim(request);
      const { startedAt } = await at.found(job);
      await record().wait(3);

      const again = await Promise.all([at.jobs.claim(request), at.jobs.claim(request)]);

      expect(first.kind).toBe('claimed');
      expect(again).toEqual([first, first]);
      expect(await at.found(job)).toMatchObject({ startedAt });
    });

    it('is gone for a job that another token has', async () => {
      const at = scene();
      const job = await at.submit();
      await at.claim(job);

      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'gone' });
    });

    it('is gone for an old delivery and for one that never was', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.jobs.release(claim, 'shutdown');
      const job = await at.found({ id: claim.jobId });

      expect(job.delivery).toBe(2);
      expect(await at.jobs.claim(at.request(job, { delivery: 1 }))).toEqual({ kind: 'gone' });
      expect(await at.jobs.claim(at.request(job, { delivery: 3 }))).toEqual({ kind: 'gone' });
      expect(await at.found(job)).toEqual(job);
      expect(await at.jobs.claim(at.request(job))).toMatchObject({ kind: 'claimed' });
    });

    it('is gone for a job that is over or unknown', async () => {
      const at = scene();
      const done = await at.claimNew();
      await at.complete(done);

      expect(await at.jobs.claim({ ...done, workerId: at.workerId })).toEqual({ kind: 'gone' });
      expect(await at.jobs.claim({ ...done, workerId: at.workerId, jobId: randomUUID() })).toEqual({
        kind: 'gone',
      });
    });

    it('is granted to one of two tokens, in one batch and from two processes', async () => {
      const at = scene();
      const jobs = await at.submitMany(20);
      const { other } = record();

      const answers = await Promise.all(
        jobs.flatMap((job) => [
          at.jobs.claim(at.request(job)),
          at.jobs.claim(at.request(job)),
          other.claim(at.request(job)),
        ]),
      );

      const claims = answers.flatMap((answer) => (answer.kind === 'claimed' ? [answer.claim] : []));
      expect(claims.map(({ jobId }) => jobId).toSorted()).toEqual(jobs.map(({ id }) => id));
      expect(answers.filter(({ kind }) => kind === 'gone')).toHaveLength(40);
      expect(await Promise.all(claims.map((claim) => at.complete(claim)))).toEqual(claims.map(() => true));
    });

    it('is held while the queue is paused, and the record takes the delivery back', async () => {
      const at = scene();
      const job = await at.submit();
      await at.push(job);
      await at.jobs.pause(at.queue);
      await at.jobs.pause(at.queue);

      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'held' });

      expect(await at.found(job)).toMatchObject({ status: 'waiting', delivery: 2, enqueuedAt: null });
      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'gone' });
      await at.jobs.resume(at.queue);
      expect(await at.jobs.claim(at.request(job, { delivery: 2 }))).toMatchObject({ kind: 'claimed' });
    });

    it('goes on in a paused queue where it was granted before', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.jobs.pause(at.queue);

      expect(await at.jobs.claim({ ...claim, workerId: at.workerId })).toEqual({ kind: 'claimed', claim });
      expect(await at.complete(claim)).toBe(true);
    });

    it('is held before its time has come', async () => {
      const at = scene();
      const job = await at.submit({ delay: 60_000 });

      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'held' });

      expect(await at.found(job)).toMatchObject({ status: 'delayed', delivery: 2, enqueuedAt: null });
    });
  });

  describe('a settlement with an effect', () => {
    it('completes the job with what the effect returns', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const effect = jest.fn(() => Promise.resolve({ booked: 7 }));

      expect(await at.jobs.settleWith(claim, effect)).toEqual({ result: { booked: 7 } });

      expect(effect).toHaveBeenCalledTimes(1);
      expect(await at.found({ id: claim.jobId })).toMatchObject({
        status: 'completed',
        result: { booked: 7 },
        attemptsMade: 1,
      });
    });

    it('is not applied again where it is asked for again: the result on record is the answer', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.jobs.settleWith(claim, () => Promise.resolve('first'));
      const again = jest.fn(() => Promise.resolve('second'));

      expect(await at.jobs.settleWith(claim, again)).toEqual({ result: 'first' });

      expect(again).not.toHaveBeenCalled();
    });

    it('is not begun by an old token', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.jobs.release(claim, 'lost');
      const effect = jest.fn(() => Promise.resolve(null));

      expect(await at.jobs.settleWith(claim, effect)).toBeUndefined();

      expect(effect).not.toHaveBeenCalled();
      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'waiting' });
    });

    it('that fails leaves the attempt to be settled otherwise', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const reason = new Error('insufficient funds');

      const settled = at.jobs.settleWith(claim, () => Promise.reject(reason));
      await expect(settled).rejects.toMatchObject({ code: 'EFFECT_FAILED', cause: reason });

      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'active', attemptsMade: 0 });
      expect(await at.fail(claim)).toBe(true);
    });
  });

  describe('a settlement', () => {
    it('completes a job, and leaves its attempt behind', async () => {
      const at = scene();
      await record().beat(at.workerId);
      const claim = await at.claimNew();
      const { startedAt, enqueuedAt } = await at.found({ id: claim.jobId });
      await record().wait(3);

      expect(await at.complete(claim, { sent: ['a', 1.5, null] })).toBe(true);

      const job = await at.found({ id: claim.jobId });
      expect(job).toMatchObject({
        status: 'completed',
        result: { sent: ['a', 1.5, null] },
        error: null,
        attemptsMade: 1,
        delivery: 1,
        startedAt,
        enqueuedAt,
      });
      expect(job.finishedAt!.getTime()).toBeGreaterThan(job.startedAt!.getTime());
      expect(await at.attempts(job.id)).toEqual([
        {
          run: 1,
          number: 1,
          worker: 'host:1',
          startedAt,
          finishedAt: expect.any(Date),
          outcome: 'completed',
          error: null,
        },
      ]);
    });

    it('fails a job for good, and files it among the dead', async () => {
      const at = scene();
      const claim = await at.claimNew();

      expect(await at.fail(claim)).toBe(true);

      const job = await at.found({ id: claim.jobId });
      expect(job).toMatchObject({
        status: 'failed',
        error: anError,
        result: null,
        attemptsMade: 1,
        finishedAt: expect.any(Date),
      });
      expect(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 })).toEqual([job]);
      expect(await at.attempts(job.id)).toMatchObject([
        { outcome: 'failed', error: anError, worker: at.workerId },
      ]);
    });

    it('makes a failure a back-off: delayed, under the next delivery, with the error to see', async () => {
      const at = scene();
      const claim = await at.claimNew();

      expect(await at.fail(claim, 60_000)).toBe(true);

      const job = await at.found({ id: claim.jobId });
      expect(job).toMatchObject({
        status: 'delayed',
        error: anError,
        attemptsMade: 1,
        delivery: 2,
        finishedAt: null,
        startedAt: expect.any(Date),
      });
      expect(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 })).toEqual([]);
      expect(await at.dueIds()).toEqual([]);

      await record().advance(60_001);
      expect(await at.dueIds()).toEqual([job.id]);
      const second = await at.claim(job);
      expect(second).toMatchObject({ attempt: 2, delivery: 2, run: 1 });
      await at.complete(second, 'ok');
      expect(await at.found(job)).toMatchObject({ status: 'completed', error: null, attemptsMade: 2 });
      expect(await at.attempts(job.id)).toMatchObject([
        { number: 1, outcome: 'failed' },
        { number: 2, outcome: 'completed' },
      ]);
    });

    it('backs off for no time at all where it is told 0', async () => {
      const at = scene();
      const claim = await at.claimNew();

      await at.fail(claim, 0);

      expect(await at.dueIds()).toEqual([claim.jobId]);
      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'waiting', delivery: 2 });
    });

    it.each([
      ['a success', undefined, 'completed'],
      ['a failure', undefined, 'failed'],
      ['a back-off', 60_000, 'failed'],
    ] as const)(
      'may be repeated: %s is answered again and doubled nowhere',
      async (_what, retryIn, outcome) => {
        const at = scene();
        const claim = await at.claimNew();
        const settle = (jobs = at.jobs) =>
          jobs.settle(
            outcome === 'completed'
              ? { ...claim, outcome, result: 1 }
              : { ...claim, outcome, error: anError, retryIn },
          );

        const answers = await Promise.all([settle(), settle()]);
        const settled = await at.found({ id: claim.jobId });
        const later = [await settle(), await settle(record().other)];

        expect([...answers, ...later]).toEqual([true, true, true, true]);
        expect(await at.found({ id: claim.jobId })).toEqual(settled);
        expect(await at.attempts(claim.jobId)).toHaveLength(1);
      },
    );

    it.each([
      ['that was released', (claim: Claim) => scene().jobs.release(claim, 'shutdown')],
      ['that never was', (claim: Claim) => Promise.resolve((claim.token = randomUUID()))],
    ])('with a token %s is refused and writes nothing', async (_what, spoil) => {
      const at = scene();
      const claim = await at.claimNew();
      await spoil(claim);
      const before = await at.found({ id: claim.jobId });

      expect(await at.complete(claim, 'late')).toBe(false);
      expect(await at.fail(claim)).toBe(false);
      expect(await at.fail(claim, 0)).toBe(false);

      expect(await at.found({ id: claim.jobId })).toEqual(before);
      expect(await at.attempts(claim.jobId)).toEqual([]);
    });

    it('by the old worker is refused once a new one has the job', async () => {
      const at = scene();
      const old = await at.claimNew();
      await at.jobs.release(old, 'shutdown');
      const current = await at.claim(await at.found({ id: old.jobId }));

      const answers = await Promise.all([at.complete(old, 'old'), at.complete(current, 'new')]);

      expect(answers).toEqual([false, true]);
      expect(await at.found({ id: old.jobId })).toMatchObject({ status: 'completed', result: 'new' });
      expect(await at.attempts(old.jobId)).toHaveLength(1);
    });

    it('of an unknown job is refused', async () => {
      const at = scene();

      expect(
        await at.jobs.settle({ jobId: randomUUID(), token: randomUUID(), outcome: 'completed', result: 1 }),
      ).toBe(false);
    });

    it('is made once by processes that claim and settle the same jobs in different orders', async () => {
      const at = scene();
      const { other } = record();
      const jobs = await at.submitMany(200);
      const work = (repository: typeof other, order: typeof jobs) =>
        Promise.all(
          order.map(async (job) => {
            const answer = await repository.claim(at.request(job));
            if (answer.kind !== 'claimed') return 0;
            return Number(await repository.settle({ ...answer.claim, outcome: 'completed', result: null }));
          }),
        );

      const settled = await Promise.all([
        work(at.jobs, jobs),
        work(other, jobs.toReversed()),
        work(
          at.jobs,
          jobs.toSorted((a, b) => a.id.slice(-6).localeCompare(b.id.slice(-6))),
        ),
        work(
          other,
          jobs.toSorted((a, b) => b.id.slice(-6).localeCompare(a.id.slice(-6))),
        ),
      ]);

      expect(settled.flat().reduce((sum, one) => sum + one, 0)).toBe(200);
      const done = await at.jobs.list(at.tenant, { statuses: ['completed'] }, { limit: 1_000 });
      expect(done.map(({ attemptsMade }) => attemptsMade)).toEqual(jobs.map(() => 1));
    });
  });

  describe('a release', () => {
    it('hands a job back without burning an attempt or counting a crash', async () => {
      const at = scene();
      const claim = await at.claimNew();

      expect(await at.jobs.release(claim, 'shutdown')).toBe(true);

      expect(await at.found({ id: claim.jobId })).toMatchObject({
        status: 'waiting',
        delivery: 2,
        attemptsMade: 0,
        enqueuedAt: null,
        startedAt: null,
      });
      expect(await at.dueIds()).toEqual([claim.jobId]);
      expect(await record().events(claim.jobId)).toEqual([
        { kind: 'released', detail: { reason: 'shutdown' } },
      ]);
      expect(await at.claim(await at.found({ id: claim.jobId }))).toMatchObject({ attempt: 1, crashes: 0 });
    });

    it('may say how long to wait', async () => {
      const at = scene();
      const claim = await at.claimNew();

      await at.jobs.release(claim, 'job type unknown', 5_000);

      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'delayed' });
      expect(await at.dueIds()).toEqual([]);
      await record().advance(5_001);
      expect(await at.dueIds()).toEqual([claim.jobId]);
    });

    it('with a stale token changes nothing', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const stale = { ...claim, token: randomUUID() };

      expect(await at.jobs.release(stale, 'late')).toBe(false);

      expect(await at.found({ id: claim.jobId })).toMatchObject({ status: 'active', delivery: 1 });
      expect(await record().events(claim.jobId)).toEqual([]);
    });

    it('of all that a worker holds leaves the others alone', async () => {
      const [at, other] = [scene(), scene()];
      const mine = [await at.claimNew(), await at.claimNew()];
      const done = await at.claimNew();
      await at.complete(done);
      const theirs = await other.claimNew();

      expect(await at.jobs.releaseAll(at.workerId, 'shutdown')).toBe(2);
      expect(await at.jobs.releaseAll(at.workerId, 'shutdown')).toBe(0);

      for (const { jobId } of mine) {
        expect(await at.found({ id: jobId })).toMatchObject({
          status: 'waiting',
          delivery: 2,
          attemptsMade: 0,
        });
        expect(await record().events(jobId)).toMatchObject([{ kind: 'released' }]);
      }
      expect(await other.found({ id: theirs.jobId })).toMatchObject({ status: 'active' });
    });
  });

  describe('a report', () => {
    it('shows progress and log lines while the attempt runs, and after it', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const moment = new Date('2026-11-24T10:11:12.345Z');

      const lines = ['one', 'two 😀'].map((line) => ({ at: moment, line }));
      expect(await at.jobs.report({ ...claim, progress: { percent: 40, step: 'half' }, lines })).toBe(true);
      expect(await at.jobs.report({ ...claim, lines: [] })).toBe(true);

      const logged = [
        { seq: expect.any(Number), run: 1, attempt: 1, at: moment, line: 'one' },
        { seq: expect.any(Number), run: 1, attempt: 1, at: moment, line: 'two 😀' },
      ];
      expect(await at.found({ id: claim.jobId })).toMatchObject({ progress: { percent: 40, step: 'half' } });
      expect(await at.jobs.logs(at.tenant, claim.jobId, { afterSeq: 0, limit: 10 })).toEqual(logged);
      await at.complete(claim);
      expect(await at.found({ id: claim.jobId })).toMatchObject({ progress: { percent: 40, step: 'half' } });
      expect(await at.jobs.logs(at.tenant, claim.jobId, { afterSeq: 0, limit: 10 })).toEqual(logged);
    });

    it('with a stale token writes nothing', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const late = { ...claim, progress: { percent: 9 }, lines: [{ at: new Date(), line: 'late' }] };

      expect(await at.jobs.report({ ...late, token: randomUUID() })).toBe(false);
      await at.complete(claim);
      expect(await at.jobs.report(late)).toBe(false);

      expect(await at.found({ id: claim.jobId })).toMatchObject({ progress: null });
      expect(await at.jobs.logs(at.tenant, claim.jobId, { afterSeq: 0, limit: 10 })).toEqual([]);
    });

    it('is read page by page, each line once', async () => {
      const at = scene();
      const claim = await at.claimNew();
      for (const batch of [0, 1, 2]) {
        const lines = Array.from({ length: 50 }, (_, n) => ({ at: new Date(), line: `${batch * 50 + n}` }));
        await at.jobs.report({ ...claim, lines });
      }

      const seen: string[] = [];
      for (let afterSeq = 0; ;) {
        const page = await at.jobs.logs(at.tenant, claim.jobId, { afterSeq, limit: 40 });
        seen.push(...page.map(({ line }) => line));
        if (page.length < 40) break;
        afterSeq = page.at(-1)!.seq;
      }

      expect(seen).toEqual(Array.from({ length: 150 }, (_, n) => `${n}`));
    });
  });

  describe('a manual retry', () => {
    it('starts a new run under the same id, with a fresh budget and the old attempts kept', async () => {
      const at = scene();
      const first = await at.claimNew();
      await at.fail(first, 0);
      const second = await at.claim(await at.found({ id: first.jobId }));
      await at.jobs.report({ ...second, progress: { percent: 10 }, lines: [] });
      await at.fail(second);

      const retried = await at.jobs.retry(at.tenant, first.jobId);

      expect(retried).toMatchObject({
        id: first.jobId,
        status: 'waiting',
        run: 2,
        attemptsMade: 0,
        delivery: 3,
        error: null,
        result: null,
        progress: null,
        enqueuedAt: null,
        startedAt: null,
        finishedAt: null,
      });
      expect(retried!.runAt.getTime()).toBeGreaterThanOrEqual(retried!.createdAt.getTime());
      expect(await at.dueIds()).toEqual([first.jobId]);
      expect(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 })).toEqual([]);
      expect(await record().events(first.jobId)).toEqual([
        { kind: 'retried', detail: { run: 2, from: 'failed', edited: false } },
      ]);

      const third = await at.claim(retried!);
      expect(third).toMatchObject({ run: 2, attempt: 1, delivery: 3, crashes: 0 });
      await at.complete(third, 'at last');
      expect(await at.found({ id: first.jobId })).toMatchObject({ status: 'completed', result: 'at last' });
      expect(await at.attempts(first.jobId)).toMatchObject([
        { run: 1, number: 1, outcome: 'failed' },
        { run: 1, number: 2, outcome: 'failed' },
        { run: 2, number: 1, outcome: 'completed' },
      ]);
    });

    it('can follow a retry that failed too', async () => {
      const at = scene();
      const job = await at.failedJob();
      await at.fail(await at.claim((await at.jobs.retry(at.tenant, job.id))!));

      expect(await at.jobs.retry(at.tenant, job.id)).toMatchObject({
        run: 3,
        delivery: 3,
        status: 'waiting',
      });
    });

    it('is refused to a job that waits, is delayed, runs or has succeeded', async () => {
      const at = scene();
      const done = await at.claimNew();
      await at.complete(done);
      const cases = [
        [(await at.submit()).id, 'waiting'],
        [(await at.submit({ delay: 60_000 })).id, 'delayed'],
        [(await at.claimNew()).jobId, 'active'],
        [done.jobId, 'completed'],
      ] as const;

      for (const [id, status] of cases) {
        const before = await at.found({ id });
        const refusal = await at.jobs.retry(at.tenant, id).catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(IllegalTransition);
        expect(refusal).toMatchObject({ jobId: id, status, legalFrom: ['failed', 'cancelled'] });
        expect(await at.found({ id })).toEqual(before);
      }
    });

    it('is granted once when it is asked for several times at once', async () => {
      const at = scene();
      const job = await at.failedJob();
      const { other } = record();

      const answers = await Promise.allSettled(
        [at.jobs, other, at.jobs, other].map((jobs) => jobs.retry(at.tenant, job.id)),
      );

      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const answer of answers) {
        if (answer.status === 'rejected') expect(answer.reason).toBeInstanceOf(IllegalTransition);
      }
      expect(await at.found(job)).toMatchObject({ run: 2, delivery: 2 });
    });
  });
}
