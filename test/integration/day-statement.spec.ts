import type { DataSource } from 'typeorm';
import { DayStatement } from '../../src/persistence/day-statement.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated } from '../support/record-on-postgres.js';

const FIRST = '019ac8a0-0000-7000-8000-000000000000';
const SAME_DAY = '019ac8a0-0000-7000-8000-000000000001';
const NEXT_DAY = '019acdc7-0000-7000-8000-000000000000';

describe('DayStatement', () => {
  let database: DataSource;
  let statement: DayStatement;
  let count = 0;

  beforeAll(async () => {
    const postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
    await makeDay('20251128');
  });

  afterAll(() => database.destroy());

  beforeEach(() => {
    statement = new DayStatement(
      `names_${++count}`,
      1,
      ({ jobs, attempts, pruned }) => `
        SELECT '${jobs}'::regclass::text AS jobs, '${attempts}'::regclass::text AS attempts,
          (SELECT count(*)::int FROM ${jobs} j WHERE j.id = ANY($1::uuid[]) ${pruned}) AS count`,
    );
  });

  const makeDay = async (day: string): Promise<void> => {
    await database.query(
      `CREATE TABLE jobs_${day} (LIKE jobs); CREATE TABLE job_attempts_${day} (LIKE job_attempts)`,
    );
  };
  const asked = async (...ids: string[]): Promise<unknown> =>
    (await statement.rowsOf(database, ids, [ids]))[0];
  const whole = { jobs: 'jobs', attempts: 'job_attempts', count: 0 };
  const ofDay = { jobs: 'jobs_20251128', attempts: 'job_attempts_20251128', count: 0 };

  it('names the partitions of the day in which all its rows are', async () => {
    expect(await asked(FIRST, SAME_DAY)).toEqual(ofDay);
    expect(await asked(SAME_DAY)).toEqual(ofDay);
  });

  it('is over the whole tables where rows are of more days', async () => {
    expect(await asked(NEXT_DAY, FIRST)).toEqual(whole);
  });

  it('is over the whole tables where a day has no partition of its name, without forgetting the day that has', async () => {
    expect(await asked(FIRST)).toEqual(ofDay);
    expect(await asked(NEXT_DAY)).toEqual(whole);
    expect(await asked(NEXT_DAY)).toEqual(whole);
    expect(await asked(FIRST)).toEqual(ofDay);
  });

  it('has a form for the latest day alone', async () => {
    await makeDay('20251129');
    expect(await asked(FIRST)).toEqual(ofDay);
    expect(await asked(NEXT_DAY)).toMatchObject({ jobs: 'jobs_20251129' });
    expect(await asked(FIRST)).toEqual(whole);
    await database.query('DROP TABLE jobs_20251129, job_attempts_20251129');
  });

  it('goes on over the whole tables when the day goes', async () => {
    expect(await asked(FIRST)).toEqual(ofDay);
    await database.query('DROP TABLE jobs_20251128, job_attempts_20251128');
    expect(await asked(FIRST)).toEqual(whole);
    await makeDay('20251128');
  });
});
