import { randomUUID } from 'node:crypto';
import { IllegalTransition } from '../../src/jobs/job.errors.js';
import type { Job } from '../../src/jobs/job.js';
import { anError, type Scene, type Suite } from './record-scene.js';

const AN_HOUR = 3_600_000;

/** What people decide of jobs that are not over. */
export function describeControl({ scene, record }: Suite): void {
  const backingOff = async (at: Scene): Promise<Job> => {
    const claim = await at.claimNew();
    await at.fail(claim, AN_HOUR);
    return at.found({ id: claim.jobId });
  };

  describe('a cancel', () => {
    it.each<['waiting' | 'delayed', number]>([
      ['waiting', 0],
      ['delayed', AN_HOUR],
    ])('ends a %s job', async (status, delay) => {
      const at = scene();
      const job = await at.submit({ delay });

      expect(await at.jobs.cancel(at.tenant, job.id)).toMatchObject({
        ...{ id: job.id, status: 'cancelled', attemptsMade: 0, error: null, result: null },
        ...{ enqueuedAt: null, startedAt: null, finishedAt: expect.any(Date) as Date },
      });
      expect(await record().events(job.id)).toEqual([
        { kind: 'cancelled', detail: { from: status, worker: null } },
      ]);
      await at.age();
      expect(await at.dueIds()).toEqual([]);
    });

    it('of a job that was pushed leaves its delivery nothing to do', async () => {
      const at = scene();
      const job = await at.submit();
      await at.push(job);

      await at.jobs.cancel(at.tenant, job.id);

      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'gone' });
      expect(await at.found(job)).toMatchObject({ enqueuedAt: expect.any(Date) as Date });
    });

    it('takes a running attempt its token', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const { jobId: id, token } = claim;
      await at.jobs.report({ ...claim, progress: { percent: 40 }, lines: [] });

      const cancelled = await at.jobs.cancel(at.tenant, id);

      expect(cancelled).toMatchObject({
        ...{ status: 'cancelled', attemptsMade: 0, progress: { percent: 40 } },
        startedAt: expect.any(Date) as Date,
      });
      expect(await at.complete(claim, 'too late')).toBe(false);
      expect(await at.jobs.settleWith(claim, () => Promise.resolve('too late'))).toBeUndefined();
      expect(await at.jobs.report({ ...claim, progress: { percent: 90 }, lines: [] })).toBe(false);
      expect(await at.jobs.claim({ ...claim, token, workerId: at.workerId })).toEqual({ kind: 'gone' });
      expect(await at.jobs.held(at.workerId)).toEqual([]);
      expect(await at.found({ id })).toEqual(cancelled);
      expect(await record().events(id)).toEqual([
        { kind: 'cancelled', detail: { from: 'active', worker: at.workerId } },
      ]);
    });

    it('of a job that waits for its next attempt keeps what the last one left', async () => {
      const at = scene();
      const job = await backingOff(at);

      expect(await at.jobs.cancel(at.tenant, job.id)).toMatchObject({
        ...{ status: 'cancelled', attemptsMade: 1, error: anError },
        ...{ startedAt: job.startedAt, enqueuedAt: job.enqueuedAt },
      });
      expect(await at.attempts(job.id)).toHaveLength(1);
    });

    it('is refused to a job that is over, and changes nothing', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.complete(claim, 'done');
      const failed = await at.failedJob();
      const cancelled = await at.submit();
      await at.jobs.cancel(at.tenant, cancelled.id);

      for (const id of [claim.jobId, failed.id, cancelled.id]) {
        const before = await at.found({ id });
        await expect(at.jobs.cancel(at.tenant, id)).rejects.toBeInstanceOf(IllegalTransition);
        expect(await at.found({ id })).toEqual(before);
      }
    });

    it('knows no job of another tenant', async () => {
      const at = scene();
      const job = await at.submit();

      expect(await at.jobs.cancel(`not ${at.tenant}`, job.id)).toBeUndefined();
      expect(await at.jobs.cancel(at.tenant, randomUUID())).toBeUndefined();
      expect(await at.found(job)).toMatchObject({ status: 'waiting' });
    });

    it('and a settlement at the same time: one of them decides', async () => {
      const at = scene();
      for (let round = 0; round < 20; round++) {
        const claim = await at.claimNew();
        const [settled, cancelled] = await Promise.all([
          at.complete(claim, round),
          record()
            .other.cancel(at.tenant, claim.jobId)
            .then(() => true)
            .catch((error: unknown) => !(error instanceof IllegalTransition)),
        ]);
        expect([settled, cancelled].filter(Boolean)).toHaveLength(1);
        expect(await at.found({ id: claim.jobId })).toMatchObject({
          status: settled ? 'completed' : 'cancelled',
        });
      }
    });

    it('is followed by a retry, in which the job runs again', async () => {
      const at = scene();
      const job = await at.submit();
      await at.jobs.cancel(at.tenant, job.id);

      expect(await at.jobs.retry(at.tenant, job.id)).toMatchObject({
        status: 'waiting',
        run: 2,
        delivery: 2,
      });

      expect(await at.complete(await at.claim(job))).toBe(true);
    });

    it('is found by its status', async () => {
      const at = scene();
      const job = await at.submit();
      await at.submit();
      await at.jobs.cancel(at.tenant, job.id);

      const found = await at.jobs.list(at.tenant, { statuses: ['cancelled'] }, { limit: 10 });

      expect(found.map(({ id }) => id)).toEqual([job.id]);
    });
  });

  describe('"run now"', () => {
    it('makes a job due that was submitted for later', async () => {
      const at = scene();
      const job = await at.submit({ delay: AN_HOUR });

      const moved = await at.jobs.runNow(at.tenant, job.id);

      expect(moved).toMatchObject({ status: 'waiting', delivery: 1 });
      expect(moved!.runAt.getTime()).toBeLessThan(job.runAt.getTime());
      expect(await record().events(job.id)).toEqual([{ kind: 'run now', detail: null }]);
      await at.complete(await at.claim(job));
      expect(await at.found(job)).toMatchObject({ status: 'completed', runAt: moved!.runAt });
    });

    it('leaves the push to the relay', async () => {
      const at = scene();
      const job = await at.submit({ delay: AN_HOUR });

      await at.jobs.runNow(at.tenant, job.id);

      await at.age();
      expect(await at.dueIds()).toEqual([job.id]);
    });

    it('ends a back-off', async () => {
      const at = scene();
      const job = await backingOff(at);

      expect(await at.jobs.runNow(at.tenant, job.id)).toMatchObject({ status: 'waiting', attemptsMade: 1 });
      expect(await at.claim(job)).toMatchObject({ attempt: 2 });
    });

    it('is refused to a job that is not delayed', async () => {
      const at = scene();
      const waiting = await at.submit();
      const { jobId: active } = await at.claimNew();
      const failed = await at.failedJob();

      for (const id of [waiting.id, active, failed.id]) {
        await expect(at.jobs.runNow(at.tenant, id)).rejects.toBeInstanceOf(IllegalTransition);
      }
    });

    it('knows no job of another tenant', async () => {
      const at = scene();
      const job = await at.submit({ delay: AN_HOUR });

      expect(await at.jobs.runNow(`not ${at.tenant}`, job.id)).toBeUndefined();
      expect(await at.found(job)).toMatchObject({ status: 'delayed' });
    });
  });

  describe('a look at several jobs', () => {
    it('tells what of them changes, and leaves out what is not on record', async () => {
      const at = scene();
      const waiting = await at.submit();
      const claim = await at.claimNew();
      const line = { at: new Date(), line: 'half of it' };
      await at.jobs.report({ ...claim, progress: { percent: 50, step: 'half' }, lines: [line, line] });
      const lines = await at.jobs.logs(at.tenant, claim.jobId, { afterSeq: 0, limit: 10 });

      const seen = await at.jobs.pulses([waiting.id, claim.jobId, randomUUID()]);

      expect(new Set(seen)).toEqual(
        new Set([
          { id: waiting.id, status: 'waiting', run: 1, attemptsMade: 0, progress: null, lastSeq: 0 },
          {
            ...{ id: claim.jobId, status: 'active', run: 1, attemptsMade: 0 },
            ...{ progress: { percent: 50, step: 'half' }, lastSeq: lines.at(-1)!.seq },
          },
        ]),
      );
      await at.complete(claim);
      expect(await at.jobs.pulses([claim.jobId])).toMatchObject([{ status: 'completed', attemptsMade: 1 }]);
      expect(await at.jobs.pulses([])).toEqual([]);
    });
  });

  describe('a retry with other data', () => {
    it('hands these out from then on, and says so in the history', async () => {
      const at = scene();
      const failed = await at.failedJob({ data: { n: 1 } });

      expect(await at.jobs.retry(at.tenant, failed.id, '{"n":2}')).toMatchObject({ data: { n: 2 }, run: 2 });

      expect(await at.claim(failed)).toMatchObject({ data: { n: 2 } });
      expect(await record().events(failed.id)).toEqual([
        { kind: 'retried', detail: { run: 2, from: 'failed', edited: true } },
      ]);
    });
  });
}
