import { z } from 'zod';
import { withoutLimits } from '../../../test/support/admission.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { JobType, type JobHandler } from '../../job-types/job-type.js';
import { LaneLeases } from '../../jobs/delivery/lane-leases.js';
import { Lanes } from '../../jobs/delivery/lanes.js';
import { OutboxRelay } from '../../jobs/delivery/outbox-relay.js';
import { InMemoryJobQueue } from '../../jobs/in-memory-job-queue.js';
import { InMemoryJobRepository } from '../../jobs/in-memory-job-repository.js';
import { InMemoryStatisticsRepository } from '../../jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../../jobs/statistics/job-activity.js';
import { SubmitJobUseCase } from '../../jobs/use-cases/submit-job.use-case.js';
import { InMemoryScheduleRepository } from '../in-memory-schedule-repository.js';
import { InvalidSchedule, ScheduleNotFound } from '../schedule.errors.js';
import { DeleteScheduleUseCase } from './delete-schedule.use-case.js';
import { GetScheduleUseCase } from './get-schedule.use-case.js';
import { ListSchedulesUseCase } from './list-schedules.use-case.js';
import { PutScheduleUseCase, type PutScheduleInput } from './put-schedule.use-case.js';

const data = z.strictObject({ to: z.email(), note: z.string().optional() });

@JobType({ name: 'remind', data, example: { to: 'ada@example.com' }, limits: { attempts: 4 } })
class Remind implements JobHandler<typeof data> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const START = Date.UTC(2026, 0, 1, 12);
const tenant = 'default';
const reminder: PutScheduleInput = {
  tenant,
  name: 'reminder',
  cron: '0 9 * * *',
  timezone: 'Europe/Berlin',
  type: 'remind',
  data: { to: 'ada@example.com' },
};

function setup() {
  const jobs = new InMemoryJobRepository({ now: START });
  const schedules = new InMemoryScheduleRepository(jobs, START);
  const types = new JobTypeRegistry([Remind]);
  const leases = new LaneLeases(jobs, new Lanes(['default'], 1));
  const submitJob = new SubmitJobUseCase(
    types,
    jobs,
    new OutboxRelay(jobs, new InMemoryJobQueue(), types, leases),
    new JobActivity(new InMemoryStatisticsRepository()),
    ...withoutLimits(),
  );
  return {
    schedules,
    putSchedule: new PutScheduleUseCase(submitJob, schedules),
    getSchedule: new GetScheduleUseCase(schedules),
    listSchedules: new ListSchedulesUseCase(schedules),
    deleteSchedule: new DeleteScheduleUseCase(schedules),
  };
}

async function refusal(call: Promise<unknown>): Promise<string[]> {
  const error = await call.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(InvalidSchedule);
  return (error as InvalidSchedule).errors.map(({ path }) => path);
}

describe('putting a schedule', () => {
  it('makes it, due at the first of its times', async () => {
    const { putSchedule } = setup();

    const { schedule, created } = await putSchedule.execute(reminder);

    expect(created).toBe(true);
    expect(schedule).toMatchObject({
      ...{ name: 'reminder', misfire: 'one', overlap: 'allow', paused: false, options: {} },
      timing: { cron: '0 9 * * *', timezone: 'Europe/Berlin' },
      nextFireAt: new Date('2026-01-02T08:00:00Z'),
    });
  });

  it('changes it where it is there, from the record’s time on', async () => {
    const { putSchedule, schedules } = setup();
    await putSchedule.execute(reminder);
    schedules.advance(86_400_000);

    const { schedule, created } = await putSchedule.execute({ ...reminder, cron: '0 10 * * *' });

    expect(created).toBe(false);
    expect(schedule.nextFireAt).toEqual(new Date('2026-01-03T09:00:00Z'));
  });

  it('loses no time that is due where it is sent again as it was', async () => {
    const { putSchedule, schedules } = setup();
    const { schedule } = await putSchedule.execute(reminder);
    schedules.advance(86_400_000);

    const again = await putSchedule.execute({ ...reminder, data: { to: 'bob@example.com' } });

    expect(again.schedule).toMatchObject({
      nextFireAt: schedule.nextFireAt,
      data: { to: 'bob@example.com' },
    });
  });

  it.each<[string, Partial<PutScheduleInput>]>([
    ['type', { type: 'unheard_of' }],
    ['data.to', { data: { to: 'nobody' } }],
    ['data', { data: { to: 'ada@example.com', note: 'x'.repeat(65_536) } }],
    ['data.note', { data: { to: 'ada@example.com', note: 'a\u0000b' } }],
    ['options.attempts', { options: { attempts: 5 } }],
    ['cron', { cron: '0 0 31 2 *' }],
    ['timezone', { timezone: 'Europe/Atlantis' }],
    ['every', { every: '1h' }],
  ])('is refused, naming %s', async (field, change) => {
    const { putSchedule, listSchedules } = setup();

    expect(await refusal(putSchedule.execute({ ...reminder, ...change }))).toEqual([field]);

    expect((await listSchedules.execute({ tenant, limit: 10 })).items).toEqual([]);
  });
});

describe('reading schedules', () => {
  it('shows the next ten times', async () => {
    const { putSchedule, getSchedule } = setup();
    await putSchedule.execute(reminder);

    const { nextFires, lastFires } = await getSchedule.execute(reminder);

    expect(nextFires).toEqual(Array.from({ length: 10 }, (_, n) => new Date(Date.UTC(2026, 0, 2 + n, 8))));
    expect(lastFires).toEqual([]);
  });

  it('shows when a paused one would fire', async () => {
    const { putSchedule, getSchedule } = setup();
    await putSchedule.execute({ ...reminder, paused: true });

    const { schedule, nextFires } = await getSchedule.execute(reminder);

    expect(schedule.nextFireAt).toBeNull();
    expect(nextFires).toHaveLength(10);
  });

  it('pages by name', async () => {
    const { putSchedule, listSchedules } = setup();
    for (const name of ['c', 'a', 'b']) await putSchedule.execute({ ...reminder, name });

    const first = await listSchedules.execute({ tenant, limit: 2 });
    const second = await listSchedules.execute({ tenant, limit: 2, after: first.next });

    expect([first, second].map(({ items }) => items.map(({ name }) => name))).toEqual([['a', 'b'], ['c']]);
    expect(second.next).toBeUndefined();
  });

  it('finds none of another tenant’s, and none that was deleted', async () => {
    const { putSchedule, getSchedule, deleteSchedule } = setup();
    await putSchedule.execute(reminder);
    const other = { ...reminder, tenant: 'other' };

    await expect(getSchedule.execute(other)).rejects.toThrow(ScheduleNotFound);
    await expect(deleteSchedule.execute(other)).rejects.toThrow(ScheduleNotFound);
    await deleteSchedule.execute(reminder);
    await expect(getSchedule.execute(reminder)).rejects.toThrow(ScheduleNotFound);
    await expect(deleteSchedule.execute(reminder)).rejects.toThrow(ScheduleNotFound);
  });
});
