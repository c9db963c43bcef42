import { randomUUID } from 'node:crypto';
import { idsOf, type Suite } from './record-scene.js';

export function describeDelivery({ scene, record }: Suite): void {
  describe('what is due', () => {
    it('comes by priority, then by due time, then by id', async () => {
      const at = scene();
      const { createdAt, options } = await at.submit({ type: 'marker' });
      const ago = (ms: number) => new Date(createdAt.getTime() - ms);
      const [late, low, early, sameTime, urgent] = await at.jobs.insert([
        at.draft({ runAt: ago(1_000) }),
        at.draft({ runAt: ago(9_000), options: { ...options, priority: 101 } }),
        at.draft({ runAt: ago(5_000) }),
        at.draft({ runAt: ago(5_000) }),
        at.draft({ runAt: ago(600), options: { ...options, priority: 0 } }),
      ]);

      const expected = idsOf([urgent!, early!, sameTime!, late!, low!]);
      expect(await at.dueIds()).toEqual(expected);
      expect(await at.dueIds(2)).toEqual(expected.slice(0, 2));
    });

    it('is told with all that its delivery shows, and without data that are too large to show', async () => {
      const at = scene();
      const large = Array.from({ length: 100 }, () => randomUUID());
      const small = await at.submit({ data: { to: 'ann' } });
      const big = await at.submit({ data: { large } });
      await at.age();

      const common = { queue: at.queue, shard: 0, type: 'send_email', priority: 100, delivery: 1 };
      expect(await at.jobs.due(at.lane, 10)).toEqual([
        { ...common, runAt: expect.any(String) as string, jobId: small.id, data: { to: 'ann' } },
        { ...common, runAt: expect.any(String) as string, jobId: big.id },
      ]);
    });

    it('leaves out what is not due, pushed, claimed, over, or in another lane', async () => {
      const at = scene();
      const [pushed, claimed, done] = await at.submitMany(3);
      await at.submit({ delay: 60_000 });
      await at.fail(await at.claimNew(), 60_000);
      await at.submit({ queue: `${at.queue}-b` });
      await at.push(pushed!);
      await at.claim(claimed!);
      await at.complete(await at.claim(done!));
      const due = await at.submit();
      await at.age();

      expect(await at.dueIds()).toEqual([due.id]);
      expect(await at.jobs.due({ ...at.lane, shard: 1 }, 10)).toEqual([]);
    });

    it('stays back while the queue is paused', async () => {
      const at = scene();
      const job = await at.submit();
      await at.age();

      await at.jobs.pause(at.queue);
      expect(await at.dueIds()).toEqual([]);

      await at.jobs.resume(at.queue);
      expect(await at.dueIds()).toEqual([job.id]);
    });

    it('leaves a first delivery half a second to the process that committed it', async () => {
      const at = scene();
      const job = await at.submit();

      expect(await at.dueIds()).toEqual([]);
      await record().wait(550);
      expect(await at.dueIds()).toEqual([job.id]);
    });

    it('does not make a delayed job wait longer than it was told', async () => {
      const at = scene();
      const job = await at.submit({ delay: 10_000 });
      await record().wait(550);
      expect(await at.dueIds()).toEqual([]);

      await record().advance(9_500);
      expect(await at.dueIds()).toEqual([job.id]);
    });

    it('has nobody to wait for on a later delivery', async () => {
      const at = scene();
      const claim = await at.claimNew();

      await at.jobs.release(claim, 'shutdown');

      expect(await at.jobs.due(at.lane, 10)).toMatchObject([{ jobId: claim.jobId, delivery: 2 }]);
    });
  });

  describe('the count of live jobs', () => {
    it('knows the states, a queue at a time, and how long the oldest has waited', async () => {
      const at = scene();
      const waiting = await at.submitMany(3);
      await at.push(waiting[0]!);
      await at.submit({ delay: 60_000 });
      await at.claimNew();
      await at.complete(await at.claimNew());
      await record().advance(5_000);

      const [counts, ...more] = await at.jobs.countLive(at.tenant);

      expect(counts).toEqual({
        queue: at.queue,
        waiting: 3,
        delayed: 1,
        active: 1,
        unpushed: 2,
        oldestWaiting: expect.any(Number),
      });
      expect(counts!.oldestWaiting).toBeGreaterThanOrEqual(5_000);
      expect(counts!.oldestWaiting).toBeLessThan(60_000);
      expect(more).toEqual([]);
    });

    it("is of one tenant's jobs, by queue, and of nothing where nothing lives", async () => {
      const at = scene();
      expect(await at.jobs.countLive(at.tenant)).toEqual([]);
      await at.submit({ delay: 60_000, queue: `b-${at.queue}` });
      await at.submit({ delay: 60_000, queue: `a-${at.queue}` });

      const counts = await at.jobs.countLive(at.tenant);

      expect(counts.map(({ queue, oldestWaiting }) => [queue, oldestWaiting])).toEqual([
        [`a-${at.queue}`, null],
        [`b-${at.queue}`, null],
      ]);
      expect(await at.jobs.countLive('nobody')).toEqual([]);
    });
  });

  describe('drift', () => {
    it('is added up', async () => {
      const { jobs } = scene();
      const before = await jobs.drift();

      await Promise.all([jobs.addDrift({ lost: 2, reaped: 1 }), record().other.addDrift({ lost: 3 })]);

      expect(await record().other.drift()).toEqual({
        ...before,
        lost: before.lost + 5,
        reaped: before.reaped + 1,
      });
    });
  });

  describe('a backlog', () => {
    it('is there once a due job has waited for its push', async () => {
      const at = scene();
      expect(await at.jobs.hasBacklog(at.lane)).toBe(false);
      const job = await at.submit();
      expect(await at.jobs.hasBacklog(at.lane)).toBe(false);

      await at.age();
      expect(await at.jobs.hasBacklog(at.lane)).toBe(true);
      expect(await at.jobs.hasBacklog({ ...at.lane, shard: 1 })).toBe(false);

      await at.push(job);
      expect(await at.jobs.hasBacklog(at.lane)).toBe(false);
    });

    it('is not made of what is delayed', async () => {
      const at = scene();
      await at.submit({ delay: 60_000 });
      await at.age();

      expect(await at.jobs.hasBacklog(at.lane)).toBe(false);
    });

    it('is what a paused queue counts as, so that nobody pushes past the pause', async () => {
      const at = scene();
      await at.jobs.pause(at.queue);
      expect(await at.jobs.hasBacklog(at.lane)).toBe(true);

      await at.jobs.resume(at.queue);
      expect(await at.jobs.hasBacklog(at.lane)).toBe(false);
    });
  });

  describe('the mark of a push', () => {
    it('stands in the job, and keeps it from being due', async () => {
      const at = scene();
      const [job, other] = await at.submitMany(2);
      await at.age();

      await at.push(job!);

      expect((await at.found(job!)).enqueuedAt).toEqual(expect.any(Date));
      expect(await at.dueIds()).toEqual([other!.id]);
    });

    it('is set once: repeating it changes nothing', async () => {
      const at = scene();
      const job = await at.submit();
      await at.push(job);
      const before = await at.found(job);
      await record().wait(3);

      await at.push(job, job);

      expect(await at.found(job)).toEqual(before);
    });

    it('comes too late for the next delivery, a claimed job, one that is over or unknown', async () => {
      const at = scene();
      const released = await at.claimNew();
      await at.jobs.release(released, 'shutdown');
      const claimed = await at.claimNew();
      const done = await at.claimNew();
      await at.complete(done);
      const before = await Promise.all([released, claimed, done].map(({ jobId: id }) => at.found({ id })));
      await record().wait(3);

      const late = [released, claimed, done, { jobId: randomUUID(), delivery: 1 }];
      expect(await at.jobs.markPushed(late)).toEqual([]);
      expect(await at.jobs.markPushed([])).toEqual([]);

      expect(await Promise.all(before.map((job) => at.found(job)))).toEqual(before);
      expect(await at.dueIds()).toEqual([released.jobId]);
    });
  });

  describe('the mark of a push that comes late', () => {
    it('tells those that still wait, as they were given', async () => {
      const at = scene();
      const [one, other] = await at.submitMany(2);
      await at.claim(other!);
      const pushes = [one!, other!].map(({ id }) => ({ jobId: id, delivery: 1, display: 'shown' }));

      expect(await at.jobs.markPushed(pushes)).toEqual([pushes[0]]);
    });

    it('bears the time of the push', async () => {
      const at = scene();
      const [one, other] = await at.submitMany(2);
      await at.jobs.markPushed([
        { jobId: one!.id, delivery: 1, ago: 700 },
        { jobId: other!.id, delivery: 1 },
      ]);

      const [then, now] = await Promise.all([one!, other!].map((job) => at.found(job)));
      expect(now!.enqueuedAt!.getTime() - then!.enqueuedAt!.getTime()).toBe(700);
    });
  });

  describe('a walk through what is due', () => {
    it('goes on after the last of each priority, in the same order', async () => {
      const at = scene();
      const { options } = await at.submit({ type: 'marker', delay: 60_000 });
      const drafts = (priority: number) =>
        Array.from({ length: 3 }, () => at.draft({ options: { ...options, priority } }));
      const low = await at.jobs.insert(drafts(200));
      const high = await at.jobs.insert(drafts(10));
      await at.age();
      const whole = await at.jobs.due(at.lane, 10);
      expect(whole.map(({ jobId }) => jobId)).toEqual(idsOf([...high, ...low]));

      for (const [nth, last] of whole.slice(0, 3).entries())
        expect(await at.jobs.due(at.lane, 10, [last])).toEqual(whole.slice(nth + 1));
      expect(await at.jobs.due(at.lane, 10, [whole[1]!, whole[3]!])).toEqual([whole[2], whole[4], whole[5]]);
      expect(await at.jobs.due(at.lane, 2, [whole[1]!, whole[4]!])).toEqual([whole[2], whole[5]]);
      expect(await at.jobs.due(at.lane, 10, [whole[2]!, whole[5]!])).toEqual([]);
    });
  });

  describe('what was pushed and never claimed', () => {
    it('is listed by id, page by page, without what was claimed or not pushed', async () => {
      const at = scene();
      const jobs = await at.submitMany(7);
      const [claimed, unpushed, ...lost] = jobs;
      await at.push(claimed!, ...lost);
      await at.claim(claimed!);
      await at.submit();

      const seen: string[] = [];
      for (let after: string | undefined; ; after = seen.at(-1)) {
        const page = await at.jobs.unclaimed(at.lane, { olderThan: 0, after, limit: 2 });
        seen.push(...page.map(({ jobId }) => jobId));
        if (page.length < 2) break;
      }

      expect(seen).toEqual(idsOf(lost));
      expect(seen).not.toContain(unpushed!.id);
    });

    it('is told as a delivery that can be pushed again', async () => {
      const at = scene();
      const job = await at.submit({ data: { to: 'ann' } });
      await at.push(job);

      expect(await at.jobs.unclaimed(at.lane, { olderThan: 0, limit: 10 })).toEqual([
        { ...at.lane, jobId: job.id, delivery: 1, type: 'send_email', priority: 100, data: { to: 'ann' } },
      ]);
    });

    it('is suspicious only after a while', async () => {
      const at = scene();
      const job = await at.submit();
      await at.push(job);
      const suspicious = async () =>
        (await at.jobs.unclaimed(at.lane, { olderThan: 15_000, limit: 10 })).map(({ jobId }) => jobId);

      expect(await suspicious()).toEqual([]);
      await record().advance(15_001);
      expect(await suspicious()).toEqual([job.id]);
    });

    it('gets the next delivery when the queue has lost it', async () => {
      const at = scene();
      const [lost, claimed, unpushed] = await at.submitMany(3);
      await at.push(lost!, claimed!);
      await at.claim(claimed!);
      const deliveries = [lost!, claimed!, unpushed!].map(({ id }) => ({ jobId: id, delivery: 1 }));

      expect(await at.jobs.redeliver(deliveries)).toBe(1);
      expect(await at.jobs.redeliver(deliveries)).toBe(0);

      expect(await at.found(lost!)).toMatchObject({ status: 'waiting', delivery: 2, enqueuedAt: null });
      expect(await at.found(claimed!)).toMatchObject({ status: 'active', delivery: 1 });
      expect(await at.found(unpushed!)).toMatchObject({ delivery: 1 });
      expect(await at.dueIds()).toEqual([lost!.id]);
    });
  });
}
