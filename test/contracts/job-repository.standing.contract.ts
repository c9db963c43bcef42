import { randomUUID } from 'node:crypto';
import type { JobDraft } from '../../src/jobs/job.js';
import type { Scene, Suite } from './record-scene.js';

export function describeStanding({ scene, record }: Suite): void {
  const withPriority = (at: Scene, priority: number): Partial<JobDraft> => ({
    options: { ...at.draft().options, priority },
  });

  describe('where a job stands', () => {
    it('is behind those of its lane that are more urgent, due earlier, or submitted before', async () => {
      const at = scene();
      const jobs = [
        await at.submit(withPriority(at, 0)),
        await at.submit({ runAt: new Date(Date.UTC(2020, 0, 1)) }),
        ...(await at.submitMany(3)),
        await at.submit(withPriority(at, 200)),
      ];

      const standings = await Promise.all(jobs.map(({ id }) => at.jobs.standing(at.tenant, id, 100)));

      expect(standings.map((standing) => standing!.ahead)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(standings[0]).toEqual({
        ...{ at: expect.any(Date), pushed: false, relayed: false, crashes: 0, ahead: 0, active: 0 },
      });
    });

    it('does not change when some are pushed, and does when they are claimed', async () => {
      const at = scene();
      const [first, second, third] = [await at.submit(), await at.submit(), await at.submit()];
      await at.push(first, third);
      expect(await at.jobs.standing(at.tenant, third.id, 100)).toMatchObject({ ahead: 2, pushed: true });

      await at.claim(first);

      expect(await at.jobs.standing(at.tenant, third.id, 100)).toMatchObject({ ahead: 1, active: 1 });
      expect(await at.jobs.standing(at.tenant, second.id, 100)).toMatchObject({ ahead: 0, pushed: false });
      expect(await at.jobs.standing(at.tenant, first.id, 100)).toBeUndefined();
    });

    it('counts no more than it is told to', async () => {
      const at = scene();
      const jobs = await at.submitMany(10);
      await at.push(...jobs.slice(0, 4));

      expect(await at.jobs.standing(at.tenant, jobs[9]!.id, 100)).toMatchObject({ ahead: 9 });
      expect(await at.jobs.standing(at.tenant, jobs[9]!.id, 6)).toMatchObject({ ahead: 6 });
      expect(await at.jobs.standing(at.tenant, jobs[3]!.id, 2)).toMatchObject({ ahead: 2 });
    });

    it('passes over what is not due, and what is in another queue', async () => {
      const at = scene();
      await at.submit({ ...withPriority(at, 0), delay: 60_000 });
      await at.submit({ queue: `${at.queue}-2` });
      await at.submit();
      const delayed = await at.submit({ delay: 60_000 });

      expect(await at.jobs.standing(at.tenant, delayed.id, 100)).toMatchObject({ ahead: 1 });
    });

    it('counts whoever the others belong to, and is told to its own tenant only', async () => {
      const at = scene();
      await at.submit({ tenant: `${at.tenant}-2` });
      const job = await at.submit();

      expect(await at.jobs.standing(at.tenant, job.id, 100)).toMatchObject({ ahead: 1 });
      expect(await at.jobs.standing(`${at.tenant}-2`, job.id, 100)).toBeUndefined();
      expect(await at.jobs.standing(at.tenant, randomUUID(), 100)).toBeUndefined();
    });

    it('tells whether its lane is relayed, and the crashes behind it', async () => {
      const at = scene();
      const claim = await at.claimNew();
      await record().advance(11_000);
      await at.jobs.reap(10_000, 3);
      await at.jobs.leaseLanes(randomUUID(), [at.lane], 5_000);

      const standing = await at.jobs.standing(at.tenant, claim.jobId, 100);

      expect(standing).toMatchObject({ relayed: true, crashes: 1, pushed: false });
      await record().advance(5_001);
      expect(await at.jobs.standing(at.tenant, claim.jobId, 100)).toMatchObject({ relayed: false });
    });
  });

  describe('a pause', () => {
    it('is told with its time, which a second pause does not change, until it is taken back', async () => {
      const at = scene();
      const mine = async () => (await record().other.pauses()).filter(({ queue }) => queue === at.queue);
      await at.jobs.pause(at.queue);
      const [pause] = await mine();
      await record().wait(20);

      await at.jobs.pause(at.queue);

      expect(await mine()).toEqual([{ queue: at.queue, since: pause!.since }]);
      await at.jobs.resume(at.queue);
      expect(await mine()).toEqual([]);
    });
  });
}
