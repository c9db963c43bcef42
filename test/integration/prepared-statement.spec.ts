import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { PreparedStatement } from '../../src/persistence/prepared-statement.js';
import { startPostgres } from '../support/postgres.js';
import { connectMigrated } from '../support/record-on-postgres.js';

describe('PreparedStatement', () => {
  let database: DataSource;
  let clock: jest.SpiedFunction<typeof performance.now>;

  beforeAll(async () => {
    const postgres = await startPostgres();
    database = await connectMigrated(await postgres.createDatabase());
  });

  afterAll(() => database.destroy());

  beforeEach(() => {
    clock = jest.spyOn(performance, 'now');
  });

  afterEach(() => clock.mockRestore());

  /** When the session that answers has parsed a statement, if it has. The pool's one idle connection is asked first. */
  const preparedAt = async (name: string): Promise<string | undefined> => {
    const [row] = await database.query<{ at: string }[]>(
      'SELECT prepare_time::text AS at FROM pg_prepared_statements WHERE name = $1',
      [name],
    );
    return row?.at;
  };

  it('is parsed once a connection', async () => {
    const sum = new PreparedStatement('sum_once', 'SELECT $1::int + 1 AS sum');

    expect(await sum.rowsOf(database, [1])).toEqual([{ sum: 2 }]);
    const first = await preparedAt('sum_once');
    expect(await sum.rowsOf(database, [2])).toEqual([{ sum: 3 }]);

    expect(first).toBeDefined();
    expect(await preparedAt('sum_once')).toBe(first);
  });

  it('is planned anew after ten seconds, when the tables may have grown', async () => {
    const sum = new PreparedStatement('sum_anew', 'SELECT $1::int + 1 AS sum');
    clock.mockReturnValue(100_000);
    await sum.rowsOf(database, [1]);
    const first = await preparedAt('sum_anew');

    clock.mockReturnValue(109_999);
    await sum.rowsOf(database, [1]);
    expect(await preparedAt('sum_anew')).toBe(first);

    clock.mockReturnValue(110_000);
    expect(await sum.rowsOf(database, [5])).toEqual([{ sum: 6 }]);
    expect(await preparedAt('sum_anew')).not.toBe(first);
  });

  it('is planned anew when it turns slow, unless its plan is young', async () => {
    const wait = new PreparedStatement('wait_slowly', 'SELECT pg_sleep($1::float8)::text');
    await wait.rowsOf(database, [0]);
    const first = await preparedAt('wait_slowly');

    await wait.rowsOf(database, [0.01]);
    await wait.rowsOf(database, [0]);
    expect(await preparedAt('wait_slowly')).toBe(first);

    await sleep(260);
    await wait.rowsOf(database, [0.01]);
    await wait.rowsOf(database, [0]);
    expect(await preparedAt('wait_slowly')).not.toBe(first);
  });

  it('may take longer the more rows it has, before it is planned anew', async () => {
    const wait = new PreparedStatement(
      'wait_for_rows',
      'SELECT pg_sleep($2::float8)::text FROM (SELECT cardinality($1::int[])) AS rows',
    );
    const rows = Array.from({ length: 1_000 }, (_, index) => index);
    await wait.rowsOf(database, [rows, 0]);
    const first = await preparedAt('wait_for_rows');

    await sleep(260);
    await wait.rowsOf(database, [rows, 0.02]);
    await wait.rowsOf(database, [rows, 0]);
    expect(await preparedAt('wait_for_rows')).toBe(first);

    await wait.rowsOf(database, [[1], 0.02]);
    await wait.rowsOf(database, [[1], 0]);
    expect(await preparedAt('wait_for_rows')).not.toBe(first);
  });

  it('answers where the session has forgotten it, now and when it is planned anew', async () => {
    const sum = new PreparedStatement('sum_forgotten', 'SELECT $1::int + 1 AS sum');
    clock.mockReturnValue(100_000);
    await sum.rowsOf(database, [1]);

    await database.query('DISCARD ALL');
    expect(await sum.rowsOf(database, [2])).toEqual([{ sum: 3 }]);
    expect(await sum.rowsOf(database, [3])).toEqual([{ sum: 4 }]);

    await database.query('DISCARD ALL');
    clock.mockReturnValue(120_000);
    expect(await sum.rowsOf(database, [4])).toEqual([{ sum: 5 }]);
    expect(await preparedAt('sum_forgotten')).toBeDefined();
  });

  it('answers where a table has changed its shape under it', async () => {
    const all = new PreparedStatement('all_shapes', 'SELECT * FROM shapes');
    await database.query('CREATE TABLE shapes AS SELECT 1 AS one');
    expect(await all.rowsOf(database, [])).toEqual([{ one: 1 }]);

    await database.query('ALTER TABLE shapes ADD two int DEFAULT 2');
    expect(await all.rowsOf(database, [])).toEqual([{ one: 1, two: 2 }]);
  });

  it('fails with what the server says, and is used again', async () => {
    const quotient = new PreparedStatement('quotient', 'SELECT 4 / $1::int AS quotient');

    await expect(quotient.rowsOf(database, [0])).rejects.toMatchObject({ code: '22012' });
    expect(await quotient.rowsOf(database, [2])).toEqual([{ quotient: 2 }]);
  });
});
