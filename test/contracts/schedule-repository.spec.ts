import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { z } from 'zod';
import { withoutLimits } from '../support/admission.js';
import { JobTypeRegistry } from '../../src/job-types/job-type-registry.js';
import { JobType, type JobHandler } from '../../src/job-types/job-type.js';
import { LaneLeases } from '../../src/jobs/delivery/lane-leases.js';
import { Lanes } from '../../src/jobs/delivery/lanes.js';
import { OutboxRelay } from '../../src/jobs/delivery/outbox-relay.js';
import { InMemoryJobQueue } from '../../src/jobs/in-memory-job-queue.js';
import { InMemoryJobRepository } from '../../src/jobs/in-memory-job-repository.js';
import type { JobRepository } from '../../src/jobs/job-repository.js';
import { InMemoryStatisticsRepository } from '../../src/jobs/statistics/in-memory-statistics-repository.js';
import { JobActivity } from '../../src/jobs/statistics/job-activity.js';
import { SubmitJobUseCase } from '../../src/jobs/use-cases/submit-job.use-case.js';
import { OldFires } from '../../src/persistence/old-fires.js';
import { TypeOrmScheduleRepository } from '../../src/persistence/typeorm-schedule-repository.js';
import { InMemoryScheduleRepository } from '../../src/schedules/in-memory-schedule-repository.js';
import type { ScheduleRepository } from '../../src/schedules/schedule-repository.js';
import { TooManySchedules } from '../../src/schedules/schedule.errors.js';
import type { ScheduleDraft } from '../../src/schedules/schedule.js';
import { FireDueSchedulesUseCase } from '../../src/schedules/use-cases/fire-due-schedules.use-case.js';
import { startPostgres, systemPostgresAvailable, type PrivatePostgres } from '../support/postgres.js';
import { connect, connectMigrated, repositoryOn, untilAnswers } from '../support/record-on-postgres.js';
import { describeScheduleRepository } from './schedule-repository.contract.js';

const data = z.strictObject({});

@JobType({ name: 'tidy_up', data, example: {} })
class TidyUp implements JobHandler<typeof data> {
  run(): Promise<void> {
    return Promise.resolve();
  }
}

const nightly: ScheduleDraft = {
  tenant: 'default',
  name: 'nightly',
  timing: { cron: '30 2 * * *', timezone: 'Europe/Berlin' },
  type: 'tidy_up',
  data: {},
  options: {},
  misfire: 'all',
  overlap: 'allow',
  paused: false,
};

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeScheduleRepository('InMemoryScheduleRepository', async () => {
  const jobs = new InMemoryJobRepository();
  const schedules = new InMemoryScheduleRepository(jobs);
  return {
    schedules,
    other: schedules,
    jobs,
    goDown: async () => schedules.goDown(),
    comeBack: async () => schedules.comeBack(),
  };
});

describeOnPostgres('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeOnPostgres('PostgreSQL 15', 'system');

function describeOnPostgres(server: string, binaries: 'embedded' | 'system'): void {
  describe(`TypeOrmScheduleRepository on ${server}`, () => {
    let postgres: PrivatePostgres;
    let database: DataSource;
    let neighbour: DataSource;
    let jobs: JobRepository;
    let schedules: ScheduleRepository;

    beforeAll(async () => {
      postgres = await startPostgres({ binaries });
      const url = await postgres.createDatabase();
      database = await connectMigrated(url);
      neighbour = await connect(url);
      jobs = repositoryOn(database);
      schedules = new TypeOrmScheduleRepository(database, jobs);
    });

    afterAll(async () => {
      await database.destroy();
      await neighbour.destroy();
      await postgres.stop();
    });

    describeScheduleRepository('as any record', async () => ({
      schedules,
      other: new TypeOrmScheduleRepository(neighbour, repositoryOn(neighbour)),
      jobs,
      goDown: () => postgres.kill(),
      comeBack: async () => {
        await postgres.start();
        await Promise.all([untilAnswers(database), untilAnswers(neighbour)]);
      },
    }));

    /** Fires as a process does, for which the time has come to be `now`. */
    async function fireUntil(now: Date): Promise<void> {
      const asOf = Object.assign(Object.create(schedules) as ScheduleRepository, {
        fireDue: (...[page, plan]: Parameters<ScheduleRepository['fireDue']>) =>
          schedules.fireDue(page, (due) => plan({ ...due, now })),
      });
      const types = new JobTypeRegistry([TidyUp]);
      const leases = new LaneLeases(jobs, new Lanes(['default'], 1));
      const relay = new OutboxRelay(jobs, new InMemoryJobQueue(), types, leases);
      const activity = new JobActivity(new InMemoryStatisticsRepository());
      const submitJob = new SubmitJobUseCase(types, jobs, relay, activity, ...withoutLimits());
      const fireDue = new FireDueSchedulesUseCase(types, submitJob, asOf, activity);
      while ((await fireDue.execute()).fired.length > 0);
    }

    const timesOfJobs = async (tenant: string): Promise<string[]> => {
      const made = await jobs.list(tenant, {}, { limit: 1_000 });
      return made.map(({ runAt }) => runAt.toISOString().slice(0, 16)).toSorted();
    };

    it.each([
      ['2024-03-30T12:00Z', '2024-04-01T12:00Z', '30 2 * * *', ['2024-03-31T01:00', '2024-04-01T00:30']],
      ['2024-10-26T12:00Z', '2024-10-28T12:00Z', '30 2 * * *', ['2024-10-27T00:30', '2024-10-28T01:30']],
      [
        '2024-10-26T23:45Z',
        '2024-10-27T02:15Z',
        '*/30 * * * *',
        ['00:00', '00:30', '01:00', '01:30', '02:00'].map((at) => `2024-10-27T${at}`),
      ],
    ])('from %s to %s in Berlin, %s has a job for each of its times', async (from, to, cron, expected) => {
      const tenant = `berlin ${from} ${cron}`;
      const timing = { cron, timezone: 'Europe/Berlin' };
      await schedules.put({ ...nightly, tenant, timing }, () => new Date(`${expected[0]}Z`));

      await fireUntil(new Date(to));

      expect(await timesOfJobs(tenant)).toEqual(expected);
      await schedules.delete(tenant, 'nightly');
    });

    it('makes a job for each of a thousand times over a change of clocks, and none twice', async () => {
      const tenant = 'thousand';
      const from = Date.parse('2024-10-26T22:00Z');
      const timing = { cron: '* * * * *', timezone: 'Europe/Berlin' };
      await schedules.put({ ...nightly, tenant, timing }, () => new Date(from));

      const until = new Date(from + 999 * 60_000);
      await Promise.all([fireUntil(until), fireUntil(until), fireUntil(until)]);
      await fireUntil(until);

      expect(await timesOfJobs(tenant)).toEqual(
        Array.from({ length: 1_000 }, (_, n) => new Date(from + n * 60_000).toISOString().slice(0, 16)),
      );
      await schedules.delete(tenant, 'nightly');
    });

    it('refuses a time twice, whoever writes it', async () => {
      const insert = `INSERT INTO schedule_fires (tenant, schedule, fire_at) VALUES ('t', 's', '2026-01-01')`;
      await database.query(insert);

      await expect(database.query(insert)).rejects.toMatchObject({ code: '23505' });
    });

    it('keeps 10,000 schedules a tenant, and no more', async () => {
      const tenant = 'collector';
      await database.query(
        `INSERT INTO schedules SELECT $1, 'n-' || n, NULL, NULL, 1000, 'x', '{}', '{}', 'one', 'allow', true, NULL, NULL, now(), now()
         FROM generate_series(1, 9999) n`,
        [tenant],
      );
      const put = (name: string) => schedules.put({ ...nightly, tenant, name, paused: true }, () => null);

      const answers = await Promise.allSettled([put('one'), put('another')]);

      expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      await expect(put('third')).rejects.toThrow(TooManySchedules);
      expect(await put('n-7')).toMatchObject({ created: false });
    });

    it('forgets times a week after, and no sooner', async () => {
      await database.query(`
        INSERT INTO schedule_fires (tenant, schedule, fire_at)
        SELECT 'old', 's', now() - n * interval '1 hour' FROM generate_series(160, 175) n`);

      await new OldFires(database).remove(3);

      const left = await schedules.fires('old', 's', 100);
      expect(left).toHaveLength(8);
    });
  });
}
