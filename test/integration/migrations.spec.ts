import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { migrate } from '../../src/persistence/migrate.js';
import { agreeOnTopology, TopologyMismatch } from '../../src/persistence/topology.js';
import { aDraft } from '../support/job-drafts.js';
import { startPostgres, systemPostgresAvailable } from '../support/postgres.js';
import { connect, connectMigrated, recordConfig, repositoryOn } from '../support/record-on-postgres.js';

describeMigrations('embedded PostgreSQL', 'embedded');
if (systemPostgresAvailable()) describeMigrations('PostgreSQL 15', 'system');

const PARTITIONED = ['jobs', 'job_attempts', 'job_events', 'job_logs'];

function describeMigrations(server: string, binaries: 'embedded' | 'system'): void {
  describe(`migrations on ${server}`, () => {
    let newDatabase: () => Promise<string>;
    let stop: () => Promise<void>;
    const open: DataSource[] = [];

    beforeAll(async () => {
      const postgres = await startPostgres({ binaries });
      newDatabase = () => postgres.createDatabase();
      stop = () => postgres.stop();
    });

    afterEach(async () => {
      for (const database of open.splice(0)) await database.destroy();
    });

    afterAll(() => stop());

    const keep = (database: DataSource): DataSource => {
      open.push(database);
      return database;
    };
    const migrated = async (): Promise<DataSource> => keep(await connectMigrated(await newDatabase()));

    it('bring an empty database up to date, and say so', async () => {
      const database = keep(await connect(await newDatabase()));
      const queueMigration = jest.fn(() => Promise.resolve());
      expect(await database.showMigrations()).toBe(true);

      const ran = await migrate(database, queueMigration);

      expect(ran).toEqual(namesOf(database));
      expect(queueMigration).toHaveBeenCalledTimes(1);
      expect(await database.showMigrations()).toBe(false);
      expect(await migrate(database, queueMigration)).toEqual([]);
    });

    it('leave a schema in which the entities find nothing to change', async () => {
      const database = await migrated();

      const { upQueries } = await database.driver.createSchemaBuilder().log();

      expect(upQueries.map(({ query }) => query)).toEqual([]);
    });

    it('go down without a trace, and up again', async () => {
      const database = await migrated();
      const before = await objectsOf(database);
      expect(before.length).toBeGreaterThan(10);

      while (!(await isEmpty(database))) await database.undoLastMigration();
      expect(await objectsOf(database)).toEqual(['table migrations']);
      expect(await database.showMigrations()).toBe(true);

      await migrate(database, () => Promise.resolve());
      expect(await objectsOf(database)).toEqual(before);
      await repositoryOn(database).insert([aDraft()]);
    });

    it('go down without losing the attempts that stand on the rows of their jobs', async () => {
      const database = await migrated();
      const jobs = repositoryOn(database);
      const [job] = await jobs.insert([aDraft()]);
      const claim = { jobId: job!.id, delivery: 1, token: randomUUID(), workerId: randomUUID() };
      await jobs.claim(claim);
      await jobs.settle({ ...claim, outcome: 'completed', result: 1 });
      const before = await jobs.history('default', claim.jobId);
      expect(before?.attempts).toMatchObject([{ number: 1, outcome: 'completed', worker: claim.workerId }]);

      while (await hasCompletedAttempts(database)) await database.undoLastMigration();
      const rows = await database.query('SELECT job_id, token, outcome FROM job_attempts');
      expect(rows).toEqual([{ job_id: claim.jobId, token: claim.token, outcome: 'completed' }]);

      await migrate(database, () => Promise.resolve());
      expect(await jobs.history('default', claim.jobId)).toEqual(before);
      expect(await jobs.settle({ ...claim, outcome: 'completed', result: 1 })).toBe(true);
    });

    it('run once when many processes start at the same time', async () => {
      const url = await newDatabase();
      const processes = await Promise.all(Array.from({ length: 8 }, () => connect(url)));
      processes.forEach(keep);
      let atOnce = 0;
      let most = 0;
      const queueMigration = async (): Promise<void> => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 20));
        atOnce--;
      };

      const ran = await Promise.all(processes.map((database) => migrate(database, queueMigration)));

      expect(ran.flat()).toEqual(namesOf(processes[0]!));
      expect(most).toBe(1);
    });

    it('let the next process go on when one fails half-way', async () => {
      const url = await newDatabase();
      const [first, second] = [keep(await connect(url)), keep(await connect(url))];

      await expect(migrate(first, () => Promise.reject(new Error('queue')))).rejects.toThrow('queue');

      expect(await migrate(second, () => Promise.resolve())).toEqual([]);
    });

    describe('partitions', () => {
      it('are there for yesterday, today and the week to come', async () => {
        const database = await migrated();

        for (const table of PARTITIONED) {
          const days = Array.from({ length: 9 }, (_, n) => `${table}_${dayFromToday(n - 1)}`);
          expect(await partitionsOf(database, table)).toEqual(days);
        }
      });

      it('leave more than half of a page of jobs to their updates, today and in days to come', async () => {
        const database = await migrated();
        await database.query('SELECT ensure_partitions(0, 9)');

        const rows: { options: string[] }[] = await database.query(
          `SELECT reloptions AS options FROM pg_class WHERE relname ~ '^jobs_\\d{8}$' AND relname >= 'jobs_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')`,
        );

        expect(rows).toHaveLength(10);
        for (const { options } of rows) expect(options).toEqual(['fillfactor=40']);
      });

      it('are made once, however often and by however many they are asked for', async () => {
        const database = await migrated();
        const ensure = async (): Promise<number> => {
          const [row] = await database.query<{ made: number }[]>('SELECT ensure_partitions(1, 8) AS made');
          return row!.made;
        };

        const made = await Promise.all(Array.from({ length: 5 }, ensure));

        expect(made.toSorted()).toEqual([0, 0, 0, 0, PARTITIONED.length]);
        expect(await ensure()).toBe(0);
      });

      it('hold a day each, from its first id to its last', async () => {
        const database = await migrated();
        const today = dayFromToday(0);
        const dayOf = async (at: string): Promise<string | undefined> => {
          const [row] = await database.query<{ part: string }[]>(
            `INSERT INTO jobs (id, type, queue, data, priority, max_attempts, backoff, timeout_ms, run_at)
             VALUES (uuid_v7($1::timestamptz), 'demo', 'default', '1', 1, 1, '{}', 1, now())
             RETURNING tableoid::regclass::text AS part`,
            [at],
          );
          return row?.part;
        };
        const day = `${today.slice(0, 4)}-${today.slice(4, 6)}-${today.slice(6)}`;

        expect(await dayOf(`${day}T00:00:00.000Z`)).toBe(`jobs_${today}`);
        expect(await dayOf(`${day}T23:59:59.999999Z`)).toBe(`jobs_${today}`);
      });
    });

    describe('ids', () => {
      it('bear the moment to the microsecond, so that they sort as they were made', async () => {
        const database = await migrated();

        const rows = await database.query<{ id: string }[]>(
          `SELECT uuid_v7('2026-11-24T10:11:12.345Z'::timestamptz + n * interval '1 us')::text AS id
           FROM generate_series(0, 999) n ORDER BY n`,
        );

        const ids = rows.map(({ id }) => id);
        expect(ids).toEqual(ids.toSorted());
        const time = Date.parse('2026-11-24T10:11:12.345Z').toString(16).padStart(12, '0');
        for (const id of ids) {
          expect(id.replaceAll('-', '').slice(0, 13)).toBe(`${time}7`);
          expect(id[19]).toMatch(/[89ab]/);
        }
      });
    });

    describe('the topology', () => {
      const config = (url: string, queue: object) => ({
        ...recordConfig(url),
        queue: { ...recordConfig(url).queue, ...queue },
      });

      it('is what the first process says, and others agree with', async () => {
        const database = await migrated();

        await Promise.all([1, 2, 3].map(() => agreeOnTopology(database, recordConfig('', 4))));

        await expect(agreeOnTopology(database, recordConfig('', 4))).resolves.toBeUndefined();
      });

      it.each([
        [{ shards: 2 }, 'QUEUE_SHARDS is 2, the installation uses 1', '--shards 2'],
        [
          { prefix: 'elsewhere' },
          'QUEUE_PREFIX is elsewhere, the installation uses test',
          '--prefix elsewhere',
        ],
        [
          { backend: 'postgres' },
          'QUEUE_BACKEND is postgres, the installation uses redis',
          '--backend postgres',
        ],
      ])('refuses a process that says otherwise: %j', async (queue, message, change) => {
        const database = await migrated();
        await agreeOnTopology(database, recordConfig(''));

        const refusal = await agreeOnTopology(database, config('', queue)).catch((error: unknown) => error);

        expect(refusal).toBeInstanceOf(TopologyMismatch);
        expect((refusal as Error).message).toContain(message);
        expect((refusal as Error).message).toContain(`npm run topology:set -- ${change}`);
        await expect(agreeOnTopology(database, recordConfig(''))).resolves.toBeUndefined();
      });
    });

    it('refuse a claim that is not whole, whoever writes it', async () => {
      const database = await migrated();
      await repositoryOn(database).insert([aDraft()]);

      await expect(database.query('UPDATE dispatch SET token = $1', [randomUUID()])).rejects.toThrow(
        'dispatch_claim_is_whole',
      );
    });
  });
}

function namesOf({ migrations }: DataSource): string[] {
  return migrations.map(({ constructor }) => constructor.name);
}

/** Whether the migration that made room for them on `jobs` is in force. */
async function hasCompletedAttempts(database: DataSource): Promise<boolean> {
  const rows = await database.query<unknown[]>(
    `SELECT FROM migrations WHERE name = 'CompletedAttempts1764900000000'`,
  );
  return rows.length === 1;
}

async function isEmpty(database: DataSource): Promise<boolean> {
  return (await database.query<unknown[]>('SELECT FROM migrations LIMIT 1')).length === 0;
}

/** UTC, as `YYYYMMDD`. */
function dayFromToday(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
}

async function partitionsOf(database: DataSource, table: string): Promise<string[]> {
  const rows = await database.query<{ name: string }[]>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY name`,
    [table],
  );
  return rows.map(({ name }) => name);
}

/** Tables, views, sequences and functions of the schema; `migrations` has its sequence, which comes and goes with it. */
async function objectsOf(database: DataSource): Promise<string[]> {
  const rows = await database.query<{ object: string }[]>(
    `SELECT 'table ' || relname AS object FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
     UNION ALL
     SELECT 'view ' || viewname FROM pg_views WHERE schemaname = 'public'
     UNION ALL
     SELECT 'sequence ' || relname FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' AND relname <> 'migrations_id_seq'
     UNION ALL
     SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
     ORDER BY 1`,
  );
  return rows.map(({ object }) => object);
}
