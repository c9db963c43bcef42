import { randomUUID } from 'node:crypto';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import { RecordUnavailable } from '../../src/jobs/job.errors.js';
import type { Json } from '../../src/jobs/job.js';
import type { DueSchedule, FirePlan, ScheduleRepository } from '../../src/schedules/schedule-repository.js';
import type { Schedule, ScheduleDraft } from '../../src/schedules/schedule.js';
import { aDraft } from '../support/job-drafts.js';

/** One implementation, and what happens around it. */
export interface SchedulesUnderTest {
  schedules: ScheduleRepository;
  /** The same record, seen from another process. */
  other: ScheduleRepository;
  jobs: JobRepository;
  goDown(): Promise<void>;
  /** Returns when it answers again. */
  comeBack(): Promise<void>;
}

const HOUR = 3_600_000;
const DATA: Json[] = [
  null,
  'a text',
  7,
  [],
  { z: 1, a: { ключ: '値 😀', list: [null, 0.1] }, constructor: null },
];

/** The promises of ScheduleRepository. */
export function describeScheduleRepository(name: string, setup: () => Promise<SchedulesUnderTest>): void {
  describe(name, () => {
    let under: SchedulesUnderTest;
    let tenant: string;
    let type: string;

    beforeAll(async () => {
      under = await setup();
    });

    beforeEach(() => {
      tenant = `tenant-${randomUUID()}`;
      type = `type_${randomUUID()}`;
    });

    const draft = (more: Partial<ScheduleDraft> = {}): ScheduleDraft => ({
      tenant,
      name: 'report',
      timing: { cron: '0 9 * * *', timezone: 'Europe/Berlin' },
      type,
      data: { n: 1 },
      options: { priority: 7, tags: ['nightly'] },
      misfire: 'all',
      overlap: 'skip',
      paused: false,
      ...more,
    });

    /** Due so many ms from now; before now where it is less than 0. */
    const put = async (ms: number, more: Partial<ScheduleDraft> = {}): Promise<Schedule> => {
      const { schedule } = await under.schedules.put(draft(more), (now) => new Date(now.getTime() + ms));
      return schedule;
    };

    /** One job for the time that is due, and the next an hour later. */
    const once = (due: DueSchedule): FirePlan => ({
      fires: [{ at: due.nextFireAt, draft: aDraft({ tenant, type, runAt: due.nextFireAt }) }],
      next: new Date(due.now.getTime() + HOUR),
    });

    const fireDue = (plan = once, schedules = under.schedules) =>
      schedules.fireDue({ types: [type], limit: 10 }, plan);

    const jobsMade = () => under.jobs.list(tenant, {}, { limit: 1_000 });

    describe('putting', () => {
      it('keeps a schedule as it was put, and tells of it what will be found', async () => {
        const { schedule, created } = await under.schedules.put(
          draft(),
          (now) => new Date(now.getTime() + HOUR),
        );

        expect(created).toBe(true);
        expect(schedule).toEqual({
          ...draft(),
          nextFireAt: new Date(schedule.createdAt.getTime() + HOUR),
          createdAt: expect.any(Date),
          updatedAt: schedule.createdAt,
        });
        expect(await under.schedules.find(tenant, 'report')).toEqual(schedule);
      });

      it.each(DATA)('keeps data as it was sent: %j', async (data) => {
        await put(HOUR, { data });

        const found = await under.schedules.find(tenant, 'report');
        expect(JSON.stringify(found?.data)).toBe(JSON.stringify(data));
      });

      it('keeps an interval', async () => {
        const schedule = await put(HOUR, { timing: { every: 366 * 86_400_000 } });

        expect(await under.schedules.find(tenant, 'report')).toEqual(schedule);
      });

      it('puts one in the place of another, which was made when it was', async () => {
        const before = await put(HOUR);

        const { schedule, created } = await under.schedules.put(
          draft({ timing: { every: 60_000 }, data: null, options: {}, misfire: 'skip', overlap: 'allow' }),
          (now) => now,
        );

        expect(created).toBe(false);
        expect(schedule).toMatchObject({ createdAt: before.createdAt, nextFireAt: schedule.updatedAt });
        expect(await under.schedules.list(tenant, { limit: 10 })).toEqual([schedule]);
      });

      it('keeps the next time of one that fires as before', async () => {
        const before = await put(-1_000);

        expect(await put(HOUR, { data: null })).toMatchObject({ nextFireAt: before.nextFireAt });
      });

      it('starts afresh where it is to fire at other times', async () => {
        const before = await put(-1_000);
        const timing = { cron: '0 9 * * *', timezone: 'Europe/Paris' };

        const { nextFireAt } = await put(HOUR, { timing });

        expect(nextFireAt!.getTime()).toBeGreaterThan(before.nextFireAt!.getTime() + HOUR);
      });

      it('starts afresh after a pause', async () => {
        await put(-1_000);
        await under.schedules.put(draft({ paused: true }), () => null);
        expect(await under.schedules.find(tenant, 'report')).toMatchObject({
          paused: true,
          nextFireAt: null,
        });

        const { nextFireAt, updatedAt } = await put(HOUR);

        expect(nextFireAt).toEqual(new Date(updatedAt.getTime() + HOUR));
      });

      it('makes one of many that are put at the same time', async () => {
        const answers = await Promise.all(
          Array.from({ length: 10 }, () => under.schedules.put(draft(), (now) => now)),
        );

        expect(answers.filter(({ created }) => created)).toHaveLength(1);
      });
    });

    describe('reading', () => {
      it('pages by name', async () => {
        for (const name of ['c', 'a', 'd', 'b']) await put(HOUR, { name });

        const first = await under.schedules.list(tenant, { limit: 3 });
        const second = await under.schedules.list(tenant, { limit: 3, after: 'c' });

        expect([first, second].map((page) => page.map(({ name }) => name))).toEqual([['a', 'b', 'c'], ['d']]);
      });

      it('shows no tenant another’s, and lets none end it', async () => {
        await put(-1);
        await fireDue();
        const other = `tenant-${randomUUID()}`;

        expect(await under.schedules.find(other, 'report')).toBeUndefined();
        expect(await under.schedules.list(other, { limit: 10 })).toEqual([]);
        expect(await under.schedules.fires(other, 'report', 10)).toEqual([]);
        expect(await under.schedules.delete(other, 'report')).toBe(false);
        expect(await under.schedules.find(tenant, 'report')).toBeDefined();
      });

      it('has nothing of one that was deleted but its jobs', async () => {
        await put(-1);
        await fireDue();

        expect(await under.schedules.delete(tenant, 'report')).toBe(true);

        expect(await under.schedules.delete(tenant, 'report')).toBe(false);
        expect(await under.schedules.find(tenant, 'report')).toBeUndefined();
        expect(await jobsMade()).toHaveLength(1);
      });
    });

    describe('firing', () => {
      it('makes the job of a time that has come, and is due again when the plan says', async () => {
        const { nextFireAt } = await put(-2_000);
        const seen: DueSchedule[] = [];

        const { fired, more } = await fireDue((due) => {
          seen.push(due);
          return once(due);
        });

        const [job] = await jobsMade();
        expect(seen).toMatchObject([{ ...draft(), nextFireAt, busy: false }]);
        expect(fired).toEqual([
          { tenant, schedule: 'report', type, at: nextFireAt, jobId: job!.id, skipped: null },
        ]);
        expect(more).toBe(false);
        expect(job).toMatchObject({ type, runAt: nextFireAt });
        expect(await under.schedules.fires(tenant, 'report', 10)).toEqual([
          { at: nextFireAt, jobId: job!.id, skipped: null },
        ]);
        expect(await under.schedules.find(tenant, 'report')).toMatchObject({
          nextFireAt: new Date(seen[0]!.now.getTime() + HOUR),
        });
        expect(await fireDue()).toEqual({ fired: [], more: false });
      });

      it('leaves alone what is not due, is paused, or is of a type that is not asked for', async () => {
        await put(HOUR, { name: 'later' });
        await under.schedules.put(draft({ name: 'paused', paused: true }), () => null);
        await put(-1, { name: 'foreign', type: `type_${randomUUID()}` });

        expect(await fireDue()).toEqual({ fired: [], more: false });
      });

      it('keeps on record what was skipped, and why', async () => {
        const { nextFireAt } = await put(-1);

        await fireDue(({ nextFireAt: at }) => ({ fires: [{ at, skipped: 'overlap' }], next: null }));

        expect(await under.schedules.fires(tenant, 'report', 10)).toEqual([
          { at: nextFireAt, jobId: null, skipped: 'overlap' },
        ]);
        expect(await jobsMade()).toEqual([]);
      });

      it('tells whether the last job is over', async () => {
        const busy: boolean[] = [];
        const due = async (): Promise<void> => {
          await put(-1 - busy.length * 1_000, { timing: { every: 1_000 + busy.length } });
          await fireDue((one) => {
            busy.push(one.busy);
            return busy.length === 2 ? { fires: [], next: null } : once(one);
          });
        };

        await due();
        await due();
        await under.jobs.cancel(tenant, (await jobsMade())[0]!.id);
        await due();

        expect(busy).toEqual([false, true, false]);
      });

      it('makes no second job for a time that is on record, though it comes again', async () => {
        const { nextFireAt } = await put(-10_000);
        await fireDue();
        await under.schedules.put(draft({ timing: { every: 1_000 } }), () => nextFireAt);

        const again = await fireDue((due) => {
          const plan = once(due);
          const later = { at: new Date(due.nextFireAt.getTime() + 1), draft: aDraft({ tenant, type }) };
          return { ...plan, fires: [...plan.fires, later] };
        });

        expect(again.fired).toHaveLength(1);
        expect(await jobsMade()).toHaveLength(2);
      });

      it('does nothing at all where the plan fails', async () => {
        await put(-2_000);
        const before = await put(-1_000, { name: 'second' });

        const failing = fireDue((due) => {
          if (due.name === 'second') throw new TypeError('no plan');
          return once(due);
        });

        await expect(failing).rejects.toThrow('no plan');
        expect(await under.schedules.find(tenant, 'second')).toEqual(before);
        expect((await fireDue()).fired).toHaveLength(2);
        expect(await jobsMade()).toHaveLength(2);
      });

      it('takes the longest due first, and tells that more may be', async () => {
        await put(-1_000, { name: 'b' });
        await put(-3_000, { name: 'a' });
        await put(-2_000, { name: 'c' });
        const some = () => under.schedules.fireDue({ types: [type], limit: 2 }, once);

        const first = await some();
        const second = await some();

        expect(first.fired.map(({ schedule }) => schedule).toSorted()).toEqual(['a', 'c']);
        expect(first.more).toBe(true);
        expect(second).toMatchObject({ fired: [{ schedule: 'b' }], more: false });
      });

      it('fires each of many once, however many processes ask at the same time', async () => {
        for (let n = 0; n < 60; n++) await put(-1_000, { name: `report-${n}` });
        const ask = async (schedules: ScheduleRepository): Promise<void> => {
          for (let more = true; more;) ({ more } = await fireDue(once, schedules));
        };

        const { schedules, other } = under;
        await Promise.all([ask(schedules), ask(other), ask(schedules), ask(other)]);
        await ask(schedules);

        expect(await jobsMade()).toHaveLength(60);
      });
    });

    it('tells an outage as such, by every call', async () => {
      await put(-1);
      const calls: (() => Promise<unknown>)[] = [
        () => put(HOUR),
        () => under.schedules.find(tenant, 'report'),
        () => under.schedules.list(tenant, { limit: 1 }),
        () => under.schedules.fires(tenant, 'report', 1),
        () => under.schedules.delete(tenant, 'report'),
        () => fireDue(),
      ];
      await under.goDown();
      try {
        for (const call of calls) await expect(call()).rejects.toBeInstanceOf(RecordUnavailable);
      } finally {
        await under.comeBack();
      }

      expect((await fireDue()).fired).toHaveLength(1);
    });
  });
}
