import { DuplicateJob } from '../../src/jobs/job.errors.js';
import type { Job } from '../../src/jobs/job.js';
import { anError, idsOf, type Scene, type Suite } from './record-scene.js';

const AN_HOUR = 3_600_000;
/** How far the record of a test runs behind a process, at most. */
const A_WHILE = 60_000;

/** What a submit may ask for beside when and how its job is run. */
export function describeOptions({ scene, record }: Suite): void {
  /** A job that the record holds for expired once `advance` has made it older. */
  const expiring = async (at: Scene): Promise<Job> => {
    const { createdAt } = await scene().submit();
    return at.submit({ expiresAt: new Date(createdAt.getTime() + A_WHILE) });
  };
  const expired = async (): Promise<string[]> => {
    await record().advance(A_WHILE + 1_000);
    return record().jobs.expire(10_000);
  };

  describe('a job that expires', () => {
    it('fails where it did not start in time', async () => {
      const at = scene();
      const job = await expiring(at);
      await at.push(job);

      expect(await expired()).toContain(job.id);

      expect(await at.found(job)).toMatchObject({
        status: 'failed',
        error: { code: 'EXPIRED', message: 'It did not start before it expired.' },
        ...{ startedAt: null, finishedAt: expect.any(Date) as Date, enqueuedAt: expect.any(Date) as Date },
      });
      expect(await record().events(job.id)).toEqual([{ kind: 'expired', detail: null }]);
      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'gone' });
      expect(idsOf(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 }))).toEqual([job.id]);
    });

    it('is not handed out any more, whether or not that was noticed', async () => {
      const at = scene();
      const job = await expiring(at);
      await record().advance(A_WHILE + 1_000);

      expect(await at.dueIds()).not.toContain(job.id);
      expect(await at.jobs.claim(at.request(job))).toEqual({ kind: 'held' });
    });

    it('goes on where it has started', async () => {
      const at = scene();
      const claim = await at.claim(await expiring(at));

      expect(await expired()).not.toContain(claim.jobId);
      expect(await at.complete(claim)).toBe(true);
    });

    it('fails between two attempts, of which the first stays on record', async () => {
      const at = scene();
      const claim = await at.claim(await expiring(at));
      await at.fail(claim, 1);

      expect(await expired()).toContain(claim.jobId);

      expect(await at.found({ id: claim.jobId })).toMatchObject({
        status: 'failed',
        attemptsMade: 1,
        error: { code: 'EXPIRED', message: 'Its next attempt did not start before it expired.' },
        startedAt: expect.any(Date) as Date,
      });
      expect(await at.attempts(claim.jobId)).toMatchObject([{ outcome: 'failed', error: anError }]);
    });

    it('does so for good: a retry by hand lifts the limit', async () => {
      const at = scene();
      const job = await expiring(at);
      await expired();

      expect(await at.jobs.retry(at.tenant, job.id)).toMatchObject({ status: 'waiting', expiresAt: null });
      expect(await at.complete(await at.claim(job))).toBe(true);
    });

    it('is failed once, by one of several that look', async () => {
      const at = scene();
      const job = await expiring(at);
      await record().advance(A_WHILE + 1_000);

      const found = await Promise.all([
        at.jobs.expire(10_000),
        record().other.expire(10_000),
        at.jobs.expire(10_000),
      ]);

      expect(found.flat().filter((id) => id === job.id)).toHaveLength(1);
    });
  });

  describe('tags', () => {
    it('come back with the job, and find it', async () => {
      const at = scene();
      const both = await at.submit({ tags: ['nightly', 'customer:42'] });
      const one = await at.submit({ tags: ['nightly'] });
      const none = await at.submit();
      const withTags = async (...tags: string[]): Promise<string[]> =>
        idsOf(await at.jobs.list(at.tenant, { tags }, { limit: 10 }));

      expect((await at.found(both)).tags).toEqual(['nightly', 'customer:42']);
      expect((await at.found(none)).tags).toEqual([]);
      expect(await withTags('nightly')).toEqual([one.id, both.id]);
      expect(await withTags('customer:42', 'nightly')).toEqual([both.id]);
      expect(await withTags('weekly')).toEqual([]);
      expect(
        idsOf(await at.jobs.list(at.tenant, { tags: ['nightly'], statuses: ['waiting'] }, { limit: 1 })),
      ).toEqual([one.id]);
    });
  });

  describe('a dedupe key', () => {
    const dedupeKey = 'invoice 42';
    const duplicateOf = ({ id }: { id: string }): unknown =>
      expect.objectContaining({ jobId: id, dedupeKey });

    it('keeps a second job out while the first is not over', async () => {
      const at = scene();
      const job = await at.submit({ dedupeKey, delay: AN_HOUR });
      expect(job.dedupeKey).toBe(dedupeKey);

      await expect(at.submit({ dedupeKey })).rejects.toEqual(duplicateOf(job));

      expect(idsOf(await at.jobs.list(at.tenant, {}, { limit: 10 }))).toEqual([job.id]);
    });

    it('is free again once the job is over, in whichever way', async () => {
      const at = scene();
      const ends: ((job: Job) => Promise<unknown>)[] = [
        async (job) => at.complete(await at.claim(job)),
        async (job) => at.fail(await at.claim(job)),
        (job) => at.jobs.cancel(at.tenant, job.id),
      ];
      for (const end of ends) await end(await at.submit({ dedupeKey }));

      expect(await at.submit({ dedupeKey })).toMatchObject({ dedupeKey, status: 'waiting' });
    });

    it('is kept between two attempts', async () => {
      const at = scene();
      const claim = await at.claimNew({ dedupeKey });
      await at.fail(claim, AN_HOUR);

      await expect(at.submit({ dedupeKey })).rejects.toBeInstanceOf(DuplicateJob);
    });

    it('is a tenant’s own', async () => {
      const at = scene();
      await at.submit({ dedupeKey });

      expect(await scene().submit({ dedupeKey })).toMatchObject({ status: 'waiting' });
    });

    it('may be answered with the job that has it', async () => {
      const at = scene();
      const job = await at.submit({ dedupeKey });
      const claim = await at.claim(job);

      const [again] = await at.jobs.insert([at.draft({ dedupeKey, onDuplicate: 'return', data: 'other' })]);

      expect(again).toEqual({ ...(await at.found({ id: claim.jobId })), duplicate: true });
    });

    it('may replace the job that has it, which is then cancelled', async () => {
      const at = scene();
      const job = await at.submit({ dedupeKey, delay: AN_HOUR });

      const next = await at.submit({ dedupeKey, onDuplicate: 'replace' });

      expect(await at.found(job)).toMatchObject({ status: 'cancelled' });
      expect(await at.found(next)).toMatchObject({ status: 'waiting', dedupeKey });
    });

    it('does not replace a job that runs', async () => {
      const at = scene();
      const job = await at.submit({ dedupeKey });
      await at.claim(job);

      await expect(at.submit({ dedupeKey, onDuplicate: 'replace' })).rejects.toEqual(duplicateOf(job));
      expect(await at.found(job)).toMatchObject({ status: 'active' });
    });

    it('refuses all that come with it in one call', async () => {
      const at = scene();
      const job = await at.submit({ dedupeKey });

      const call = at.jobs.insert([at.draft(), at.draft({ dedupeKey }), at.draft({ dedupeKey: 'another' })]);

      await expect(call).rejects.toEqual(duplicateOf(job));
      expect(idsOf(await at.jobs.list(at.tenant, {}, { limit: 10 }))).toEqual([job.id]);
    });

    it('that stands twice in one call makes one job', async () => {
      const at = scene();
      const draft = at.draft({ dedupeKey, onDuplicate: 'return' });

      const [first, second] = await at.jobs.insert([draft, draft]);

      expect(second).toMatchObject({ id: first!.id, duplicate: true });
      await expect(
        at.jobs.insert([at.draft({ dedupeKey: 'twice' }), at.draft({ dedupeKey: 'twice' })]),
      ).rejects.toBeInstanceOf(DuplicateJob);
    });

    it('that many submit at once makes one job', async () => {
      const at = scene();
      const submits = Array.from({ length: 20 }, (_, n) =>
        (n % 2 ? record().other : at.jobs).insert([at.draft({ dedupeKey, onDuplicate: 'return' })]),
      );

      const jobs = (await Promise.all(submits)).flat();

      expect(new Set(idsOf(jobs)).size).toBe(1);
      expect(jobs.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    });

    it('keeps a job from a retry while another one has it', async () => {
      const at = scene();
      const failed = await at.failedJob({ dedupeKey });
      const job = await at.submit({ dedupeKey });

      await expect(at.jobs.retry(at.tenant, failed.id)).rejects.toEqual(duplicateOf(job));
      expect(await at.found(failed)).toMatchObject({ status: 'failed', run: 1 });

      await at.jobs.cancel(at.tenant, job.id);
      expect(await at.jobs.retry(at.tenant, failed.id)).toMatchObject({ status: 'waiting', run: 2 });
      await expect(at.submit({ dedupeKey })).rejects.toEqual(duplicateOf(failed));
    });
  });
}
