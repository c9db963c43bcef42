import { DuplicateJob } from '../../src/jobs/job.errors.js';
import { idsOf, type Suite } from './record-scene.js';

class Rollback extends Error {}

export function describeWithin({ scene, record }: Suite): void {
  describe('inserting within a transaction', () => {
    it('makes jobs that nobody sees before it commits, and everybody after', async () => {
      const at = scene();
      const { jobs } = at;

      const inserted = await record().transaction(async (transaction) => {
        const made = await jobs.insertWithin(transaction, [at.draft({ data: { n: 1 } }), at.draft()]);
        await at.age();
        expect(await jobs.list(at.tenant, {}, { limit: 10 })).toEqual([]);
        expect(await at.dueIds()).toEqual([]);
        return made;
      });

      expect(inserted.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 1 }]);
      for (const job of inserted) expect(await at.found(job)).toMatchObject({ status: 'waiting' });
      await record().wait(600);
      expect(await at.dueIds()).toEqual(idsOf(inserted));
    });

    it('leaves nothing anywhere where it is rolled back', async () => {
      const at = scene();
      const inserting = record().transaction(async (transaction) => {
        await at.jobs.insertWithin(transaction, [at.draft(), at.draft({ dedupeKey: 'invoice 7' })]);
        throw new Rollback();
      });

      await expect(inserting).rejects.toThrow(Rollback);

      await record().wait(600);
      expect(await at.jobs.list(at.tenant, {}, { limit: 10 })).toEqual([]);
      expect(await at.dueIds()).toEqual([]);
      expect(await at.jobs.countLive(at.tenant)).toEqual([]);
      expect(await at.submit({ dedupeKey: 'invoice 7' })).not.toHaveProperty('duplicate');
    });

    it('takes many requests, also at the same time', async () => {
      const at = scene();

      const inserted = await record().transaction((transaction) =>
        Promise.all(
          Array.from({ length: 50 }, (_, n) => at.jobs.insertWithin(transaction, [at.draft({ data: n })])),
        ),
      );

      expect(inserted.map(([job]) => job?.data)).toEqual(inserted.map((_, n) => n));
      const listed = await at.jobs.list(at.tenant, {}, { limit: 100 });
      expect(idsOf(listed).toSorted()).toEqual(idsOf(inserted.flat()).toSorted());
    });

    it('goes on after a request that is refused, whose neighbours stay', async () => {
      const at = scene();
      const holder = await at.submit({ dedupeKey: 'invoice 7' });

      const answers = await record().transaction((transaction) =>
        Promise.allSettled([
          at.jobs.insertWithin(transaction, [at.draft({ data: 'before' })]),
          at.jobs.insertWithin(transaction, [
            at.draft({ data: 'lost' }),
            at.draft({ dedupeKey: 'invoice 7' }),
          ]),
          at.jobs.insertWithin(transaction, [at.draft({ data: 'after' })]),
        ]),
      );

      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(answers[1]).toMatchObject({ reason: expect.any(DuplicateJob) });
      const listed = await at.jobs.list(at.tenant, {}, { limit: 10 });
      expect(listed.map(({ data }) => data)).toEqual(['after', 'before', holder.data]);
    });

    it('answers with the job that has the dedupe key, where that is asked for', async () => {
      const at = scene();
      const holder = await at.submit({ dedupeKey: 'invoice 7' });
      const draft = at.draft({ dedupeKey: 'invoice 7', onDuplicate: 'return' });

      const answers = await record().transaction((transaction) => at.jobs.insertWithin(transaction, [draft]));

      expect(answers).toEqual([{ ...holder, duplicate: true }]);
    });

    it('refuses what is no open transaction of its own', async () => {
      const at = scene();
      let over: unknown;
      await record().transaction(async (transaction) => (over = transaction));

      for (const transaction of [undefined, {}, over])
        await expect(at.jobs.insertWithin(transaction, [at.draft()])).rejects.toThrow(TypeError);

      expect(await at.jobs.list(at.tenant, {}, { limit: 10 })).toEqual([]);
    });
  });
}
