import type { JobFilter, JobPage } from '../../src/jobs/job-repository.js';
import { JOB_STATUSES, type Job, type JobStatus } from '../../src/jobs/job.js';
import { idsOf, type Scene, type Suite } from './record-scene.js';

const TYPES = ['send_email', 'demo'];

export function describeListing({ scene, record }: Suite): void {
  describe('listing', () => {
    it('goes through 500 jobs page by page, newest first, none twice and none left out', async () => {
      const at = scene();
      const all = idsOf(await at.submitMany(500)).reverse();

      const seen: string[] = [];
      for (let before: string | undefined; ; before = seen.at(-1)) {
        const page = await at.jobs.list(at.tenant, {}, { limit: 70, before });
        seen.push(...idsOf(page));
        if (page.length < 70) break;
      }

      expect(seen).toEqual(all);
    });

    it('goes on after a job although newer ones have come', async () => {
      const at = scene();
      const all = idsOf(await at.submitMany(6)).reverse();
      const first = await at.jobs.list(at.tenant, {}, { limit: 3 });
      await at.submitMany(4);

      const second = await at.jobs.list(at.tenant, {}, { limit: 3, before: first.at(-1)!.id });

      expect(idsOf([...first, ...second])).toEqual(all);
    });

    it.each(JOB_STATUSES)('shows the jobs that are %s, each as it is found alone', async (status) => {
      const at = scene();
      const expected = await oneOfEach(at, 'demo');

      const listed = await at.jobs.list(at.tenant, { statuses: [status] }, { limit: 10 });

      expect(listed).toEqual(expected.filter((job) => job.status === status));
      expect(listed.length).toBe(status === 'cancelled' ? 0 : status === 'delayed' ? 2 : 1);
    });

    it('merges several statuses into one order, and pages through them', async () => {
      const at = scene();
      await oneOfEach(at, 'demo');
      const all = await oneOfEach(at, 'send_email');
      const statuses: JobStatus[] = ['active', 'failed', 'completed', 'waiting'];
      const wanted = idsOf(all.filter(({ status }) => statuses.includes(status)));
      expect(wanted).toHaveLength(8);

      const seen: string[] = [];
      while (seen.length < 8) {
        const page = await at.jobs.list(at.tenant, { statuses }, { limit: 3, before: seen.at(-1) });
        if (page.length === 0) break;
        seen.push(...idsOf(page));
      }

      expect(seen).toEqual(wanted);
    });

    it('takes the first moment in and leaves the last one out', async () => {
      const at = scene();
      const jobs: Job[] = [];
      for (let n = 0; n < 3; n++) {
        jobs.push(await at.submit());
        await record().wait(3);
      }
      const [first, second, third] = jobs.map(({ createdAt }) => createdAt);
      const listed = async (filter: JobFilter) =>
        idsOf(await at.jobs.list(at.tenant, filter, { limit: 10 })).reverse();

      expect(await listed({ createdFrom: second })).toEqual(idsOf(jobs.slice(1)));
      expect(await listed({ createdTo: second })).toEqual(idsOf(jobs.slice(0, 1)));
      expect(await listed({ createdFrom: first, createdTo: third })).toEqual(idsOf(jobs.slice(0, 2)));
      expect(await listed({ createdFrom: new Date(second!.getTime() + 1) })).toEqual(idsOf(jobs.slice(2)));
      expect(await listed({ createdFrom: second, createdTo: second })).toEqual([]);
      expect(await listed({ createdFrom: new Date(0), createdTo: new Date('9999-12-31') })).toEqual(
        idsOf(jobs),
      );
    });

    it('may give a short page where little matches, goes on from there, and leaves nothing out', async () => {
      const at = scene();
      for (let n = 0; n < 6; n++) {
        await at.submitMany(20);
        await at.submit({ queue: `${at.queue}-b`, tags: ['rare', `n${n}`] });
        await at.failedJob({ tags: ['rare'] });
        await at.submit({ delay: 1e9 });
      }
      const all = await at.jobs.list(at.tenant, {}, { limit: 1_000 });
      const many = Array.from({ length: 9 }, (_, n) => `type_${n}`);
      const filters: (JobFilter & { short?: boolean })[] = [
        { queue: `${at.queue}-b`, short: true },
        { queue: at.queue },
        { queue: 'unknown', short: true },
        { tags: ['rare'] },
        { tags: ['n0'] },
        { tags: ['unknown'] },
        { tags: ['rare'], statuses: ['failed', 'waiting'] },
        { statuses: ['failed', 'delayed'] },
        { statuses: ['delayed'], queue: at.queue },
        { statuses: ['failed'] },
        { statuses: ['completed'], short: true },
        { types: [...many, all[0]!.type] },
        { types: many, short: true },
      ];

      for (const { short, ...filter } of filters) {
        const pages: JobPage[] = [];
        do {
          const before = pages.at(-1)?.next;
          pages.push(await at.jobs.page(at.tenant, filter, { limit: 5, before, scan: 15 }));
        } while (pages.at(-1)!.next !== undefined);

        const listed = pages.flatMap(({ jobs }) => idsOf(jobs));
        const wanted = all.filter((job) => fits(job, filter) && tagged(job, filter));
        expect([filter, listed]).toEqual([filter, idsOf(wanted)]);
        expect(pages.every(({ jobs }) => jobs.length <= 5)).toBe(true);
        if (short) expect(pages.some(({ jobs, next }) => jobs.length < 5 && next)).toBe(true);
      }
    });

    it('joins all filters by “and”, whatever the combination', async () => {
      const at = scene();
      await oneOfEach(at, 'demo');
      await record().wait(3);
      const boundary = (await at.submit({ queue: `${at.queue}-b`, type: 'demo' })).createdAt;
      await record().wait(3);
      const all = await oneOfEach(at, 'send_email');

      for (const filter of everyFilter(at.queue, boundary)) {
        const listed = await at.jobs.list(at.tenant, filter, { limit: 100 });
        expect([filter, idsOf(listed)]).toEqual([filter, idsOf(all.filter((job) => fits(job, filter)))]);
      }
    });
  });
}

/** Adds a job of each state, and a second delayed one: in back-off. @returns all of the tenant's, newest first */
async function oneOfEach(at: Scene, type: string): Promise<Job[]> {
  await at.submit({ type });
  await at.complete(await at.claimNew({ type }), { done: true });
  await at.submit({ type, delay: 1e9 });
  await at.failedJob({ type });
  await at.fail(await at.claimNew({ type }), 1e9);
  await at.claimNew({ type });
  return at.jobs.list(at.tenant, {}, { limit: 100 });
}

function* everyFilter(queue: string, boundary: Date): Generator<JobFilter> {
  const statuses: (JobStatus[] | undefined)[] = [
    undefined,
    [],
    ...JOB_STATUSES.map((status): JobStatus[] => [status]),
    ['waiting', 'delayed'],
    ['failed', 'cancelled', 'active'],
    ['completed', 'failed', 'delayed'],
    [...JOB_STATUSES],
  ];
  const ranges = [{}, { createdFrom: boundary }, { createdTo: boundary }];
  for (const status of statuses) {
    for (const types of [undefined, [], ['demo'], TYPES, ['unknown']]) {
      for (const inQueue of [undefined, queue, `${queue}-b`]) {
        for (const range of ranges) yield { statuses: status, types, queue: inQueue, ...range };
      }
    }
  }
}

function tagged({ tags }: Job, { tags: wanted = [] }: JobFilter): boolean {
  return wanted.every((tag) => tags.includes(tag));
}

function fits(job: Job, { statuses, types, queue, createdFrom, createdTo }: JobFilter): boolean {
  if (statuses?.length && !statuses.includes(job.status)) return false;
  if (types?.length && !types.includes(job.type)) return false;
  if (queue !== undefined && job.queue !== queue) return false;
  if (createdFrom && job.createdAt < createdFrom) return false;
  return !createdTo || job.createdAt < createdTo;
}
