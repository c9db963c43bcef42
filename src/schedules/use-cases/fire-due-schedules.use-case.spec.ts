import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { withoutLimits } from '../../../test/support/admission.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { JobType, type JobHandler } from '../../job-types/job-type.js';
import { LaneLeases } from '../../jobs/delivery/lane-leases.js';
import { Lanes } from '../../jobs/delivery/lanes.js';
import { OutboxRelay } from '../../jobs/delivery/outbox-relay.js';
import { InMemoryJobQueue } from '../../jobs/in-memory-job-queue.js';
import { InMemoryJobRepository } from '../../jobs/in-memory-job-repository.js';
import type { JobHandlerClass } from '../../job-types/job-type.js';
import { InMemoryStatisticsRepository } from '../../jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../../jobs/statistics/job-activity.js';
import { SubmitJobUseCase } from '../../jobs/use-cases/submit-job.use-case.js';
import { InMemoryScheduleRepository } from '../in-memory-schedule-repository.js';
import { ScheduleTicker } from '../schedule-ticker.js';
import { FireDueSchedulesUseCase } from './fire-due-schedules.use-case.js';
import { PutScheduleUseCase, type PutScheduleInput } from './put-schedule.use-case.js';

const data = z.strictObject({ n: z.int() });

@JobType({ name: 'count', data, example: { n: 1 } })
class Count implements JobHandler<typeof data> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const stricter = z.strictObject({ n: z.int().min(100) });

@JobType({ name: 'count', data: stricter, example: { n: 100 } })
class CountHigh implements JobHandler<typeof stricter> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const tenant = 'default';
const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const everyMinute: PutScheduleInput = { tenant, name: 'count', every: '1m', type: 'count', data: { n: 1 } };

function setup() {
  const jobs = new InMemoryJobRepository({ now: START });
  const schedules = new InMemoryScheduleRepository(jobs, START);
  const statistics = new InMemoryStatisticsRepository();
  const activity = new JobActivity(statistics);
  const processWith = (...handlers: JobHandlerClass[]) => {
    const types = new JobTypeRegistry(handlers);
    const relay = new OutboxRelay(
      jobs,
      new InMemoryJobQueue(),
      types,
      new LaneLeases(jobs, new Lanes(['default'], 1)),
    );
    const submitJob = new SubmitJobUseCase(types, jobs, relay, activity, ...withoutLimits());
    const ticker = new ScheduleTicker(new FireDueSchedulesUseCase(types, submitJob, schedules, activity));
    return { ticker, putSchedule: new PutScheduleUseCase(submitJob, schedules) };
  };
  /** Times (minutes after the start) at which jobs were made, earliest first. */
  const minutes = async () => {
    const made = await jobs.list(tenant, {}, { limit: 2_000 });
    return made.map(({ runAt }) => (runAt.getTime() - START) / MINUTE).reverse();
  };
  return { jobs, schedules, statistics, activity, minutes, processWith, ...processWith(Count) };
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

it('makes a job at each of its times, once', async () => {
  const { ticker, putSchedule, schedules, jobs, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, options: { priority: 7, tags: ['nightly'] } });

  await ticker.tick();
  expect(await minutes()).toEqual([]);

  schedules.advance(MINUTE);
  await ticker.tick();
  await ticker.tick();
  schedules.advance(MINUTE);
  await ticker.tick();

  expect(await minutes()).toEqual([1, 2]);
  const [job] = await jobs.list(tenant, {}, { limit: 1 });
  expect(job).toMatchObject({ type: 'count', data: { n: 1 }, tags: ['nightly'], status: 'waiting' });
  expect(job!.options.priority).toBe(7);
});

it.each([
  ['skip', [61]],
  ['one', [1, 61]],
  ['all', Array.from({ length: 61 }, (_, n) => n + 1)],
] as const)(
  'after an hour without it, misfire %s makes as many jobs as it says',
  async (misfire, expected) => {
    const { ticker, putSchedule, schedules, minutes } = setup();
    await putSchedule.execute({ ...everyMinute, misfire });

    schedules.advance(61 * MINUTE + 400);
    await ticker.tick();

    expect(await minutes()).toEqual(expected);
    schedules.advance(MINUTE);
    await ticker.tick();
    expect(await minutes()).toEqual([...expected, 62]);
  },
);

it('counts what it makes among what is submitted', async () => {
  const { ticker, putSchedule, schedules, statistics, activity } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'all', overlap: 'allow' });
  schedules.advance(3 * MINUTE);

  await ticker.tick();
  await activity.save();

  expect((await statistics.read(tenant, 1)).types).toMatchObject([{ type: 'count', submitted: 3 }]);
});

it('takes no time for missed that is a little late', async () => {
  const { ticker, putSchedule, schedules, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'skip' });

  schedules.advance(MINUTE + 9_999);
  await ticker.tick();

  expect(await minutes()).toEqual([1]);
});

it('catches up with the longest list, one bounded batch after the other', async () => {
  const { ticker, putSchedule, schedules, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'all' });

  schedules.advance(1_000 * MINUTE);
  await ticker.tick();

  expect(await minutes()).toEqual(Array.from({ length: 1_000 }, (_, n) => n + 1));
});

it('leaves a time out while its last job is not over, and says so', async () => {
  const { ticker, putSchedule, schedules, jobs, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'all', overlap: 'skip' });

  schedules.advance(2 * MINUTE);
  await ticker.tick();
  schedules.advance(MINUTE);
  await ticker.tick();
  const [job] = await jobs.list(tenant, {}, { limit: 1 });
  await jobs.cancel(tenant, job!.id);
  schedules.advance(MINUTE);
  await ticker.tick();

  expect(await minutes()).toEqual([1, 4]);
  expect((await schedules.fires(tenant, 'count', 10)).map(({ skipped }) => skipped)).toEqual([
    null,
    'overlap',
    'overlap',
    null,
  ]);
});

it('makes no job of data that its type refuses by now, and goes on', async () => {
  const { putSchedule, schedules, minutes, processWith } = setup();
  const { ticker } = processWith(CountHigh);
  await putSchedule.execute(everyMinute);
  await putSchedule.execute({ ...everyMinute, name: 'high', data: { n: 100 } });

  schedules.advance(MINUTE);
  await ticker.tick();

  expect(await minutes()).toEqual([1]);
  expect(await schedules.fires(tenant, 'count', 10)).toMatchObject([{ jobId: null, skipped: 'invalid' }]);
  expect(await schedules.find(tenant, 'count')).toMatchObject({ nextFireAt: new Date(START + 2 * MINUTE) });
});

it('leaves a schedule to others where it does not know the type', async () => {
  const { ticker, putSchedule, schedules, minutes, processWith } = setup();
  await putSchedule.execute(everyMinute);
  schedules.advance(MINUTE);

  await processWith().ticker.tick();
  expect(await minutes()).toEqual([]);

  await ticker.tick();
  expect(await minutes()).toEqual([1]);
});

it('does nothing while it is paused, and misses nothing then', async () => {
  const { ticker, putSchedule, schedules, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'all' });
  await putSchedule.execute({ ...everyMinute, misfire: 'all', paused: true });

  schedules.advance(10 * MINUTE);
  await ticker.tick();
  expect(await minutes()).toEqual([]);

  await putSchedule.execute({ ...everyMinute, misfire: 'all' });
  schedules.advance(MINUTE);
  await ticker.tick();
  expect(await minutes()).toEqual([11]);
});

it('waits for a record that is down', async () => {
  const { ticker, putSchedule, schedules, minutes } = setup();
  await putSchedule.execute({ ...everyMinute, misfire: 'all' });
  schedules.advance(2 * MINUTE);

  schedules.goDown();
  await ticker.tick();
  schedules.comeBack();
  expect(await minutes()).toEqual([]);

  await ticker.tick();
  expect(await minutes()).toEqual([1, 2]);
});
