import { randomUUID } from 'node:crypto';
import type { Lane } from '../../src/jobs/job-queue.js';
import type { Claim, Reaped } from '../../src/jobs/job-repository.js';
import type { Scene, Suite } from './record-scene.js';

const LEASE = 10_000;
const CRASH_LIMIT = 3;

/** Such as no other test knows. */
function lanes(count: number): Lane[] {
  const queue = `queue-${randomUUID()}`;
  return Array.from({ length: count }, (_, shard) => ({ queue, shard }));
}

export function describeLiveness({ scene, record }: Suite): void {
  /** Lets the scene's worker die, and reaps. Other tests leave claims behind too: only the scene's are told. */
  const reapAfterDeath = async (at: Scene, claims: Claim[]): Promise<Reaped[]> => {
    await record().advance(LEASE + 1_000);
    const reaped = await at.jobs.reap(LEASE, CRASH_LIMIT);
    return reaped.filter(({ jobId }) => claims.some((claim) => claim.jobId === jobId));
  };

  describe('the lease on a lane', () => {
    it('has one holder, who may renew it', async () => {
      const { jobs } = scene();
      const [one, other] = [randomUUID(), randomUUID()];
      const [a, b, c] = lanes(3);

      expect(await jobs.leaseLanes(one, [b!, a!], 5_000)).toEqual([a, b]);
      expect(await jobs.leaseLanes(other, [a!, b!, c!], 5_000)).toEqual([c]);
      expect(await record().other.leaseLanes(one, [a!, b!, c!], 5_000)).toEqual([a, b]);
      expect(await jobs.leaseLanes(one, [], 5_000)).toEqual([]);
    });

    it('is on one queue: another queue in the same shard is free', async () => {
      const { jobs } = scene();
      const [known] = lanes(1);
      const unknown = { ...known!, queue: `other-${known!.queue}` };
      await jobs.leaseLanes(randomUUID(), [known!], 5_000);

      expect(await jobs.leaseLanes(randomUUID(), [known!, unknown], 5_000)).toEqual([unknown]);
    });

    it('goes to the next one when it is over', async () => {
      const { jobs } = scene();
      const [one, other] = [randomUUID(), randomUUID()];
      const lane = lanes(1);
      await jobs.leaseLanes(one, lane, 5_000);
      await record().advance(4_000);
      expect(await jobs.leaseLanes(other, lane, 5_000)).toEqual([]);

      await jobs.leaseLanes(one, lane, 5_000);
      await record().advance(4_000);
      expect(await jobs.leaseLanes(other, lane, 5_000)).toEqual([]);

      await record().advance(1_001);
      expect(await jobs.leaseLanes(other, lane, 5_000)).toEqual(lane);
      expect(await jobs.leaseLanes(one, lane, 5_000)).toEqual([]);
    });

    it('is granted to one of many who ask at once', async () => {
      const lane = lanes(1);
      const holders = Array.from({ length: 8 }, () => randomUUID());

      const answers = await Promise.all(
        holders.map((holder, n) => (n % 2 ? record().jobs : record().other).leaseLanes(holder, lane, 5_000)),
      );

      expect(answers.filter((granted) => granted.length === 1)).toHaveLength(1);
    });

    it('is free at once when it is given back, and only by its holder', async () => {
      const { jobs } = scene();
      const [one, other] = [randomUUID(), randomUUID()];
      const lane = lanes(1);
      await jobs.leaseLanes(one, lane, 5_000);

      await jobs.returnLanes(other);
      expect(await jobs.leaseLanes(other, lane, 5_000)).toEqual([]);

      await jobs.returnLanes(one);
      expect(await jobs.leaseLanes(other, lane, 5_000)).toEqual(lane);
    });

    it('is missed where jobs of a queue wait to be pushed and nobody has it', async () => {
      const at = scene();
      const [job] = await at.submitMany(2);
      expect(await at.jobs.unrelayed()).toContain(at.queue);
      const holder = randomUUID();

      await at.jobs.leaseLanes(holder, [at.lane], 5_000);
      expect(await at.jobs.unrelayed()).not.toContain(at.queue);

      await at.jobs.returnLanes(holder);
      await at.push(job!);
      expect(await at.jobs.unrelayed()).toContain(at.queue);
      await record().advance(1_000);
      await at.jobs.markPushed((await at.jobs.due(at.lane, 10)).map((due) => due));
      expect(await at.jobs.unrelayed()).not.toContain(at.queue);
    });
  });

  describe('what a worker holds', () => {
    it('is told to it, with its age', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const done = await at.claimNew();
      await at.complete(done);

      const { jobId, token } = claim;
      const [young] = await at.jobs.held(at.workerId);
      await record().advance(10_001);
      const [old, ...more] = await at.jobs.held(at.workerId);

      expect(young!.age).toBeLessThan(10_000);
      expect(old).toEqual({ jobId, token, age: expect.any(Number) });
      expect(old!.age).toBeGreaterThan(10_000);
      expect(more).toEqual([]);
      expect(await at.jobs.held(randomUUID())).toEqual([]);
    });

    it('can be marked as running alone by its token only', async () => {
      const at = scene();
      const claim = await at.claimNew();

      expect(await at.jobs.markAlone({ ...claim, token: randomUUID() })).toBe(false);
      expect(await at.jobs.markAlone(claim)).toBe(true);
      expect(await at.jobs.markAlone(claim)).toBe(true);
      await at.complete(claim);
      expect(await at.jobs.markAlone(claim)).toBe(false);
    });
  });

  describe('reaping', () => {
    it('takes back what a dead worker held: a crash more, no attempt less', async () => {
      const at = scene();
      await record().beat(at.workerId);
      const claim = await at.claimNew();

      const reaped = await reapAfterDeath(at, [claim]);

      expect(reaped).toEqual([{ jobId: claim.jobId, workerId: at.workerId, crashes: 1, quarantined: false }]);
      expect(await record().knowsWorker(at.workerId)).toBe(false);
      const job = await at.found({ id: claim.jobId });
      expect(job).toMatchObject({ status: 'waiting', delivery: 2, attemptsMade: 0, enqueuedAt: null });
      expect(await at.attempts(job.id)).toEqual([]);
      expect(await record().events(job.id)).toEqual([
        { kind: 'reaped', detail: { worker: at.workerId, crashes: 1 } },
      ]);
      expect(await at.complete(claim, 'late')).toBe(false);
      expect(await at.claim(job)).toMatchObject({ crashes: 1, attempt: 1, delivery: 2 });
    });

    it('leaves a worker alone whose heart beats, however long its job takes', async () => {
      const at = scene();
      await record().beat(at.workerId);
      const claim = await at.claimNew();
      await record().advance(LEASE * 10);
      await record().beat(at.workerId);

      const reaped = await at.jobs.reap(LEASE, CRASH_LIMIT);

      expect(reaped.filter(({ workerId }) => workerId === at.workerId)).toEqual([]);
      expect(await record().knowsWorker(at.workerId)).toBe(true);
      expect(await at.complete(claim)).toBe(true);
    });

    it('gives a claim by an unknown worker a full lease', async () => {
      const at = scene();
      const claim = await at.claimNew();
      const early = await at.jobs.reap(LEASE, CRASH_LIMIT);

      expect(early.filter(({ jobId }) => jobId === claim.jobId)).toEqual([]);
      expect(await reapAfterDeath(at, [claim])).toHaveLength(1);
    });

    it('happens once when several processes do it at once', async () => {
      const at = scene();
      await record().beat(at.workerId);
      const claims = await Promise.all(Array.from({ length: 10 }, () => at.claimNew()));
      await record().advance(LEASE + 1_000);

      const passes = await Promise.all(
        [at.jobs, record().other, at.jobs, record().other].map((jobs) => jobs.reap(LEASE, CRASH_LIMIT)),
      );

      const mine = passes.flat().filter(({ workerId }) => workerId === at.workerId);
      expect(mine.map(({ jobId }) => jobId).toSorted()).toEqual(claims.map(({ jobId }) => jobId).toSorted());
      for (const { jobId } of claims) expect(await at.found({ id: jobId })).toMatchObject({ delivery: 2 });
    });

    it('does not condemn a job for crashes that it shared with others', async () => {
      const at = scene();
      const job = await at.submit();

      for (let crash = 1; crash <= CRASH_LIMIT + 2; crash++) {
        const claim = await at.claim(await at.found(job), { workerId: randomUUID() });
        expect(await reapAfterDeath(at, [claim])).toMatchObject([{ crashes: crash, quarantined: false }]);
      }

      expect(await at.found(job)).toMatchObject({ status: 'waiting', attemptsMade: 0 });
    });

    it('quarantines a job that killed its process alone, time and again', async () => {
      const at = scene();
      const job = await at.submit();
      const crash = async (alone: boolean): Promise<Reaped> => {
        const claim = await at.claim(await at.found(job), { workerId: randomUUID() });
        if (alone) await at.jobs.markAlone(claim);
        const [reaped] = await reapAfterDeath(at, [claim]);
        return reaped!;
      };

      const crashes = [];
      for (const alone of [false, true, false, true, true]) crashes.push(await crash(alone));

      expect(crashes.map(({ quarantined }) => quarantined)).toEqual([false, false, false, false, true]);
      const failed = await at.found(job);
      expect(failed).toMatchObject({
        status: 'failed',
        error: { code: 'CRASHED', message: expect.stringContaining('5 times') },
        attemptsMade: 0,
        delivery: 5,
        startedAt: expect.any(Date),
        finishedAt: expect.any(Date),
      });
      expect(await at.jobs.list(at.tenant, { statuses: ['failed'] }, { limit: 10 })).toEqual([failed]);
      expect((await record().events(job.id)).map(({ kind }) => kind)).toEqual([
        ...Array<string>(4).fill('reaped'),
        'quarantined',
      ]);
      expect(await at.dueIds()).toEqual([]);
    });

    it('forgives the crashes of a quarantined job that is retried', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await at.jobs.markAlone(claim);
      await record().advance(LEASE + 1_000);
      await at.jobs.reap(LEASE, 1);

      const retried = await at.jobs.retry(at.tenant, claim.jobId);

      expect(retried).toMatchObject({ status: 'waiting', run: 2, delivery: 2, error: null });
      expect(await at.claim(retried!)).toMatchObject({ crashes: 0, attempt: 1 });
    });

    it('forgets that a job ran alone when it is handed back', async () => {
      const at = scene();
      const first = await at.claimNew();
      await at.jobs.markAlone(first);
      await at.jobs.release(first, 'shutdown');
      const second = await at.claim(await at.found({ id: first.jobId }), { workerId: randomUUID() });
      await record().advance(LEASE + 1_000);

      const reaped = (await at.jobs.reap(LEASE, 1)).filter(({ jobId }) => jobId === second.jobId);

      expect(reaped).toMatchObject([{ crashes: 1, quarantined: false }]);
    });
  });
}
