import { randomUUID } from 'node:crypto';
import type { Once, SubmittedJob } from '../../src/jobs/idempotency.js';
import { IdempotencyKeyReused } from '../../src/jobs/job.errors.js';
import type { JobDraft } from '../../src/jobs/job.js';
import { idsOf, type Scene, type Suite } from './record-scene.js';

const HOUR = 3_600_000;

export function onceWith(more: Partial<Once> = {}): Once {
  return { key: randomUUID(), fingerprint: 'one request', ...more };
}

/** All that a tenant has. */
export async function countOf(at: Scene): Promise<number> {
  return (await at.jobs.list(at.tenant, {}, { limit: 5_000 })).length;
}

function replayed(jobs: readonly SubmittedJob[]): SubmittedJob[] {
  return jobs.map((job) => ({ ...job, replayed: true }));
}

export function describeIdempotency({ scene, record }: Suite): void {
  describe('an idempotency key', () => {
    const drafts = (at: Scene, count: number): JobDraft[] =>
      Array.from({ length: count }, (_, n) => at.draft({ data: { n } }));

    it('makes its jobs once, and answers them again as they were at first', async () => {
      const at = scene();
      const once = onceWith();
      const requests = [
        at.draft({ data: { b: 1, a: [] } }),
        at.draft({ delay: HOUR }),
        at.draft({ runAt: new Date('2999-01-01') }),
        at.draft({ runAt: new Date('2020-01-01T00:00:00.123Z') }),
      ];

      const first = await at.jobs.insert(requests, once);
      expect(first.map(({ status, replayed }) => [status, replayed])).toEqual([
        ['waiting', undefined],
        ['delayed', undefined],
        ['delayed', undefined],
        ['waiting', undefined],
      ]);
      await at.complete(await at.claim(first[0]!), { done: true });

      expect(await at.jobs.insert(requests, once)).toEqual(replayed(first));
      expect(await record().other.insert(requests, once)).toEqual(replayed(first));
      expect(await countOf(at)).toBe(4);
      expect(await at.found(first[0]!)).toMatchObject({ status: 'completed' });
    });

    it('answers with the queue and the options of that day, though the type has others now', async () => {
      const at = scene();
      const once = onceWith();
      const [first] = await at.jobs.insert([at.draft()], once);

      const draft = at.draft();
      const options = { ...draft.options, attempts: 9, backoff: { kind: 'exponential' as const, delay: 7 } };
      const again = await at.jobs.insert([{ ...draft, queue: 'elsewhere', options }], once);

      expect(again).toEqual(replayed([first!]));
    });

    it('is refused for another request, and stays as it is', async () => {
      const at = scene();
      const once = onceWith();
      const first = await at.jobs.insert([at.draft()], once);

      const other = at.jobs.insert(drafts(at, 3), { ...once, fingerprint: 'another' });

      await expect(other).rejects.toBeInstanceOf(IdempotencyKeyReused);
      expect(await at.jobs.insert([at.draft()], once)).toEqual(replayed(first));
      expect(await countOf(at)).toBe(1);
    });

    it('makes one request’s jobs of 100 at the same time, for each of 100 keys', async () => {
      const at = scene();
      const keys = Array.from({ length: 100 }, () => onceWith());
      const draft = at.draft();

      const answers = await Promise.all(
        Array.from({ length: 10_000 }, async (_, n) => {
          const jobs = n % 2 ? at.jobs : record().other;
          const [job] = await jobs.insert([draft], keys[n % 100]);
          return job!;
        }),
      );

      expect(new Set(idsOf(answers)).size).toBe(100);
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(100);
      expect(await countOf(at)).toBe(100);
    });

    it('of two requests made at the same time has one, and refuses the other', async () => {
      const at = scene();
      const once = onceWith();

      const answers = await Promise.allSettled([
        at.jobs.insert(drafts(at, 2), once),
        at.jobs.insert(drafts(at, 3), { ...once, fingerprint: 'another' }),
        at.jobs.insert(drafts(at, 2), once),
      ]);

      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(answers[1]).toMatchObject({ reason: expect.any(IdempotencyKeyReused) });
      expect(await countOf(at)).toBe(2);
    });

    it('stands for all jobs of a request together, in their order', async () => {
      const at = scene();
      const once = onceWith();

      const [one, two] = await Promise.all([
        at.jobs.insert(drafts(at, 500), once),
        record().other.insert(drafts(at, 500), once),
      ]);

      expect(idsOf(one)).toEqual(idsOf(two));
      expect(one.map(({ data }) => data)).toEqual(one.map((_, n) => ({ n })));
      expect(two.map(({ data }) => data)).toEqual(one.map(({ data }) => data));
      expect(await countOf(at)).toBe(500);
    });

    it('is not kept for a request without jobs', async () => {
      const at = scene();
      const once = onceWith();

      expect(await at.jobs.insert([], once)).toEqual([]);

      const [job] = await at.jobs.insert([at.draft()], once);
      expect(job!.replayed).toBeUndefined();
    });

    it('is each tenant’s own', async () => {
      const [at, other] = [scene(), scene()];
      const once = onceWith();

      const [mine] = await at.jobs.insert([at.draft()], once);
      const [theirs] = await other.jobs.insert([other.draft()], { ...once, fingerprint: 'another' });

      expect(theirs!.id).not.toBe(mine!.id);
      expect([await countOf(at), await countOf(other)]).toEqual([1, 1]);
    });

    it('tells capitals, spaces and what SQL takes for its own apart', async () => {
      const at = scene();
      const keys = ['a', 'A', ' a', 'a ', "'; DROP TABLE jobs; --", '{"a",NULL}', '\\', '"', '~'.repeat(255)];

      const insertAll = () =>
        Promise.all(keys.map(async (key) => (await at.jobs.insert([at.draft()], onceWith({ key })))[0]!.id));
      const first = await insertAll();

      expect(new Set(first).size).toBe(keys.length);
      expect(await insertAll()).toEqual(first);
    });

    it('is gone once it has expired, for as many as come then', async () => {
      const at = scene();
      const once = onceWith();
      const [first] = await at.jobs.insert([at.draft()], once);
      await record().advance(24 * HOUR - 60_000);
      expect((await at.jobs.insert([at.draft()], once))[0]!.id).toBe(first!.id);

      await record().advance(60_001);
      const another = { ...once, fingerprint: 'another' };
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          (n % 2 ? at.jobs : record().other).insert([at.draft()], another),
        ),
      );

      expect(new Set(idsOf(answers.flat())).size).toBe(1);
      expect(answers.flat().filter(({ replayed }) => !replayed)).toHaveLength(1);
      expect(idsOf(answers.flat())).not.toContain(first!.id);
      expect(await countOf(at)).toBe(2);
    });

    it('shares no statement’s fate with requests that have none', async () => {
      const at = scene();
      const once = onceWith();

      const answers = await Promise.all([
        at.jobs.insert([at.draft()]),
        at.jobs.insert([at.draft()], once),
        at.jobs.insert([at.draft()]),
        at.jobs.insert([at.draft()], once),
      ]);

      expect(new Set(idsOf(answers.flat())).size).toBe(3);
      expect(await countOf(at)).toBe(3);
    });
  });
}
