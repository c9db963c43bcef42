import { randomUUID } from 'node:crypto';
import type { Claim, ClaimAnswer } from '../../src/jobs/job-repository.js';
import type { Job } from '../../src/jobs/job.js';
import { anError, type Scene, type Suite } from './record-scene.js';

/** Attempts that start before their claim is on record. */
export function describeDeferring({ scene, record }: Suite): void {
  const defer = (at: Scene, job: Job): Promise<ClaimAnswer> =>
    at.jobs.claim(at.request(job, { deferrable: true }));
  const deferred = async (at: Scene, job: Job): Promise<Claim> => {
    const answer = await defer(at, job);
    if (answer.kind !== 'claimed') throw new Error(`The claim was answered with "${answer.kind}"`);
    return answer.claim;
  };
  const startOf = ({ delivery }: Claim, { workerId }: Scene, ran = 40) => ({ delivery, workerId, ran });
  const complete = (at: Scene, claim: Claim, ran?: number): Promise<boolean> => {
    const { jobId, token } = claim;
    return at.jobs.settle({
      jobId,
      token,
      outcome: 'completed',
      result: 'done',
      start: startOf(claim, at, ran),
    });
  };

  /** By the record's clock. */
  const inMs = async (at: Scene, ms: number): Promise<Date> =>
    new Date((await at.submit()).createdAt.getTime() + ms);

  describe('a deferred claim', () => {
    it('hands out what an attempt needs, and leaves nothing on record', async () => {
      const at = scene();
      const job = await at.submit({ data: { a: 1 } });

      const claim = await deferred(at, job);

      expect(claim).toMatchObject({ jobId: job.id, delivery: 1, data: { a: 1 }, attempt: 1, deferred: true });
      expect(claim.waited).toBeGreaterThanOrEqual(0);
      expect(await at.found(job)).toEqual(job);
      expect(await at.jobs.held(at.workerId)).toEqual([]);
    });

    it('settles by its delivery: the record tells who ran it, and since when', async () => {
      const at = scene();
      await record().beat(at.workerId);
      const job = await at.submit();
      const claim = await deferred(at, job);
      await record().wait(60);

      expect(await complete(at, claim, 40)).toBe(true);

      const found = await at.found(job);
      expect(found).toMatchObject({ status: 'completed', result: 'done', attemptsMade: 1, delivery: 1 });
      const [attempt] = await at.attempts(job.id);
      expect(attempt).toMatchObject({ number: 1, outcome: 'completed', worker: 'host:1' });
      const ran = attempt!.finishedAt.getTime() - attempt!.startedAt.getTime();
      expect(ran).toBeGreaterThanOrEqual(39);
      expect(ran).toBeLessThan(2_000);
      expect(found.startedAt).toEqual(attempt!.startedAt);
      expect(found.enqueuedAt).toEqual(found.startedAt);
    });

    it('keeps the moment of the push', async () => {
      const at = scene();
      const job = await at.submit();
      const claim = await deferred(at, job);
      await at.push(job);
      const { enqueuedAt } = await at.found(job);

      await complete(at, claim);

      expect(enqueuedAt).toEqual(expect.any(Date));
      expect((await at.found(job)).enqueuedAt).toEqual(enqueuedAt);
    });

    it('settles as often as it is asked to, once', async () => {
      const at = scene();
      const claim = await deferred(at, await at.submit());

      expect(await complete(at, claim)).toBe(true);
      expect(await complete(at, claim)).toBe(true);

      expect(await at.attempts(claim.jobId)).toHaveLength(1);
    });

    it('fails, and is tried again, as any other', async () => {
      const at = scene();
      const job = await at.submit();
      const claim = await deferred(at, job);
      const { jobId, token } = claim;
      const start = startOf(claim, at);

      expect(
        await at.jobs.settle({ jobId, token, outcome: 'failed', error: anError, retryIn: 0, start }),
      ).toBe(true);
      await record().wait(3);
      const again = await deferred(at, await at.found(job));

      expect(again).toMatchObject({ delivery: 2, attempt: 2, deferred: true });
      expect(await complete(at, claim)).toBe(true); // its settlement is on record: of the first attempt
      expect(await at.found(job)).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 1 });
      expect(await complete(at, again)).toBe(true);
      expect(await at.attempts(job.id)).toMatchObject([{ outcome: 'failed' }, { outcome: 'completed' }]);
    });

    it('is refused its settlement once another has claimed the delivery', async () => {
      const at = scene();
      const job = await at.submit();
      const claim = await deferred(at, job);
      const rival = await at.claim(job);

      expect(await complete(at, claim)).toBe(false);

      expect(await at.found(job)).toMatchObject({ status: 'active', attemptsMade: 0 });
      expect(await at.complete(rival)).toBe(true);
    });

    it('is refused it once another has settled the delivery, and once it is an old one', async () => {
      const at = scene();
      const [one, other] = [await at.submit(), await at.submit()];
      const [first, second] = [await deferred(at, one), await deferred(at, one)];
      expect([await complete(at, first), await complete(at, second)]).toEqual([true, false]);
      expect(await at.attempts(one.id)).toHaveLength(1);

      const old = await deferred(at, other);
      await at.jobs.release(await at.claim(other), 'handed back');
      expect(await complete(at, old)).toBe(false);
      expect(await at.found(other)).toMatchObject({ status: 'waiting', delivery: 2 });
    });

    it('is refused it once the job was cancelled', async () => {
      const at = scene();
      const job = await at.submit();
      const claim = await deferred(at, job);
      await at.jobs.cancel(at.tenant, job.id);

      expect(await complete(at, claim)).toBe(false);
      expect(await at.found(job)).toMatchObject({ status: 'cancelled', attemptsMade: 0 });
    });

    it('of many settles in one statement, whether or not they were claimed meanwhile', async () => {
      const at = scene();
      const jobs = await at.submitMany(20);
      const claims = await Promise.all(jobs.map((job) => deferred(at, job)));
      const later = claims.filter((_, nth) => nth % 2);
      await Promise.all(
        later.map((claim) => at.jobs.claim({ ...claim, workerId: at.workerId, started: true })),
      );
      expect((await at.jobs.held(at.workerId)).length).toBe(10);

      expect(await Promise.all(claims.map((claim) => complete(at, claim)))).toEqual(Array(20).fill(true));

      for (const job of jobs) expect(await at.found(job)).toMatchObject({ status: 'completed' });
    });

    it('is put on record later, though the queue was paused and the time to start is over by then', async () => {
      const at = scene();
      const job = await at.submit({ expiresAt: await inMs(at, 60_000) });
      const claim = await deferred(at, job);
      await at.jobs.pause(at.queue);
      await record().advance(120_000);

      const { jobId, delivery, token } = claim;
      const answer = await at.jobs.claim({ jobId, delivery, token, workerId: at.workerId, started: true });
      await at.jobs.resume(at.queue);

      expect(answer).toMatchObject({ kind: 'claimed', claim: { token } });
      expect(await at.jobs.held(at.workerId)).toMatchObject([{ token }]);
      expect(await at.complete(claim)).toBe(true);
    });
  });

  describe('a claim is not deferred', () => {
    it('of a job that has crashed a process', async () => {
      const at = scene();
      const job = await at.submit();
      await at.claim(job, { workerId: randomUUID() });
      await record().advance(60_000);
      await at.jobs.reap(10_000, 3);

      const claim = await deferred(at, await at.found(job));

      expect(claim).toMatchObject({ crashes: 1, delivery: 2 });
      expect(claim.deferred).toBeUndefined();
      expect(await at.found(job)).toMatchObject({ status: 'active' });
    });

    it('where nobody asks for that', async () => {
      const at = scene();

      expect((await at.claim(await at.submit(), { deferrable: false })).deferred).toBeUndefined();
      expect(await at.jobs.held(at.workerId)).toHaveLength(1);
    });

    it('of a job that expires in a moment', async () => {
      const at = scene();
      const job = await at.submit({ expiresAt: await inMs(at, 900) });

      expect((await deferred(at, job)).deferred).toBeUndefined();
      expect(await at.found(job)).toMatchObject({ status: 'active' });
    });

    it('where it would be held: the delivery is taken back', async () => {
      const at = scene();
      const [paused, later] = [await at.submit(), await at.submit({ delay: 60_000 })];
      expect(await defer(at, later)).toEqual({ kind: 'held' });
      await at.jobs.pause(at.queue);
      expect(await defer(at, paused)).toEqual({ kind: 'held' });
      await at.jobs.resume(at.queue);

      expect(await at.found(paused)).toMatchObject({ status: 'waiting', delivery: 2 });
      expect(await at.found(later)).toMatchObject({ status: 'delayed', delivery: 2 });
    });

    it('where another has the job, or it is over', async () => {
      const at = scene();
      const [taken, over] = [await at.submit(), await at.submit()];
      await at.claim(taken);
      await at.complete(await at.claim(over));

      expect(await defer(at, taken)).toEqual({ kind: 'gone' });
      expect(await defer(at, over)).toEqual({ kind: 'gone' });
    });
  });
}
