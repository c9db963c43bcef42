import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { isLockTimeout, sqlStateOf } from './database-error.js';
import { countDay, LONG, type DayCount } from './day-count.js';
import type { Day } from './old-days.js';
import { EXPIRED, parametersOf, RULE, type StatusAges } from './retention-ages.js';
import { rowsOf } from './rows.js';

/** Partitioned tables and their keys. */
const TABLES = { jobs: 'id', job_attempts: 'job_id', job_events: 'job_id', job_logs: 'job_id' };
const NAMES = Object.keys(TABLES);

/** Jobs that are kept are moved out of a day up to this number; where they are more, the others are deleted instead. */
const MOST_MOVED = 50_000;
const BATCH = 2_000;
/** Dead letters that are removed at a time before their day is dropped. */
const LETTERS = 10_000;
const NO_ID = '00000000-0000-0000-0000-000000000000';
const TRIES = 25;
/** For so long at most a submit waits behind the drop of a day that does not get its locks, in ms. */
const LOCKING = 50;

interface Batch {
  removed: number;
  /** Where the next batch begins; null where there is none. */
  next: string | null;
}

/** What became of a day. `removed` jobs are gone, `moved` ones stand in a partition of their own. */
export interface Removal {
  removed: number;
  moved: number;
  dropped: boolean;
  left?: { name: string; again: boolean };
}

const historyOf = (suffix: string, gone: string) =>
  NAMES.slice(1)
    .map(
      (table) => `${table}_gone AS (DELETE FROM ${table}${suffix} h USING ${gone} g WHERE h.job_id = g.id)`,
    )
    .join(', ');

/** A retry locks the dead letter: what is retried just now is skipped, and stays. Plan: ranges of both keys. */
const removeDeadIn = ({ name, suffix }: Day, history: boolean) => `
WITH gone AS MATERIALIZED (
  SELECT l.job_id AS id FROM dead_letters l JOIN ${name} j ON j.id = l.job_id ${RULE}
  WHERE l.job_id >= $4 AND l.job_id < $5 AND ${EXPIRED}
  ORDER BY l.job_id LIMIT $6 FOR UPDATE OF l SKIP LOCKED
),
letters_gone AS (DELETE FROM dead_letters l USING gone g WHERE l.job_id = g.id),
jobs_gone AS (DELETE FROM ${name} j USING gone g WHERE j.id = g.id)
${history ? `, ${historyOf(suffix, 'gone')}` : ''}
SELECT count(*)::int AS removed, CASE WHEN count(*) = $6 THEN (array_agg(id ORDER BY id DESC))[1] END AS next FROM gone`;

/** A completed job is never written again. Plan: $5 rows from the id $4 on. */
const removeCompletedIn = ({ name, suffix }: Day) => `
WITH walked AS MATERIALIZED (SELECT id FROM ${name} WHERE id > $4 ORDER BY id LIMIT $5),
gone AS MATERIALIZED (
  SELECT j.id FROM walked w JOIN ${name} j ON j.id = w.id ${RULE}
  WHERE j.status = 'completed' AND ${EXPIRED}
  FOR UPDATE OF j SKIP LOCKED
),
jobs_gone AS (DELETE FROM ${name} j USING gone g WHERE j.id = g.id),
${historyOf(suffix, 'gone')}
SELECT (SELECT count(*) FROM gone)::int AS removed,
  CASE WHEN count(*) = $5 THEN (array_agg(id ORDER BY id DESC))[1] END AS next FROM walked`;

/**
 * Removes from one day what has reached its age. Where little is left of the day, its partitions are dropped, and what is
 * left is moved into partitions of its own, which take the day's place in the same transaction. Where much is left,
 * deletes it in batches, and the day stays.
 */
export class DayRemoval {
  constructor(
    private readonly database: DataSource,
    private readonly ages: StatusAges,
    private readonly stopping: () => boolean = () => false,
    private readonly mostMoved = MOST_MOVED,
  ) {}

  async sweep(day: Day): Promise<Removal> {
    const counted = await countDay(this.database, day.name, this.ages);
    const { completed, dead, kept, leaving } = counted;
    const old = completed + dead;
    const left = { name: day.name, again: leaving > 0 };
    if (old === 0 && kept > 0) return { removed: 0, moved: 0, dropped: false, left };

    const few = kept === 0 || (!day.remainder && kept <= this.mostMoved && kept < old);
    if (day.closed && few) return this.replace(day, counted);
    return { removed: await this.thin(day), moved: 0, dropped: false, left };
  }

  private async replace(day: Day, { completed, dead, kept, leaving }: DayCount): Promise<Removal> {
    const removed = await this.removeDead(day, false);
    // Then all that the day still has is completed, and old: nothing can become of it.
    const empty = kept === 0 && removed === dead;

    const moved = await this.untilLocked(() =>
      this.database.transaction((manager) => replaceIn(manager, day, empty, this.ages)),
    );
    const left = moved > 0 ? { name: keptName('jobs', day), again: leaving > 0 || moved > kept } : undefined;
    return { removed: completed + dead + kept - moved, moved, dropped: true, left };
  }

  private async thin(day: Day): Promise<number> {
    const dead = await this.removeDead(day, true);
    return dead + (await this.inBatches(removeCompletedIn(day), [NO_ID], BATCH));
  }

  /** Where the history goes with the day, a batch is little work. */
  private removeDead(day: Day, history: boolean): Promise<number> {
    return this.inBatches(removeDeadIn(day, history), [day.from, day.to], history ? BATCH : LETTERS);
  }

  /**
   * Leaves the database as much time as each batch took: nobody waits for what is removed.
   * @param range the first id is that of the next batch, each time
   */
  private async inBatches(sql: string, [from, ...to]: [string, ...string[]], size: number): Promise<number> {
    let removed = 0;
    for (let next: string | null = from; next !== null && !this.stopping();) {
      const start = performance.now();
      const [batch]: Batch[] = await rowsOf<Batch>(this.database, sql, [
        ...parametersOf(this.ages),
        next,
        ...to,
        size,
      ]);
      removed += batch?.removed ?? 0;
      next = batch?.next ?? null;
      if (next !== null) await sleep(Math.min(1_000, performance.now() - start));
    }
    return removed;
  }

  private async untilLocked<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!isContention(error) || tries === TRIES || this.stopping()) throw error;
        await sleep(100 + Math.random() * 400);
      }
    }
  }
}

/**
 * Writers of this day, which are few, wait while what is kept is copied. The tables themselves, and with them all submits,
 * are locked for the exchange alone. @returns how many jobs were moved
 */
async function replaceIn(
  manager: EntityManager,
  day: Day,
  empty: boolean,
  ages: StatusAges,
): Promise<number> {
  const partitions = NAMES.map((table) => table + day.suffix).join(', ');
  await limit(manager, 'lock_timeout', 2_000);
  await limit(manager, 'statement_timeout', LONG);
  await manager.query(`LOCK TABLE ${partitions} IN SHARE ROW EXCLUSIVE MODE`);
  const moved = empty ? 0 : await copyKept(manager, day, ages);

  await limit(manager, 'statement_timeout', LOCKING);
  await manager.query(
    `LOCK TABLE ${NAMES.map((table) => `ONLY ${table}`).join(', ')} IN ACCESS EXCLUSIVE MODE`,
  );
  await limit(manager, 'statement_timeout', LONG);
  await manager.query(`DROP TABLE ${partitions}`);
  if (moved > 0) await attachKept(manager, day);
  return moved;
}

/** Everything but what is completed and old: a failed job that is here yet may have been retried. */
async function copyKept(manager: EntityManager, day: Day, ages: StatusAges): Promise<number> {
  for (const [table, key] of Object.entries(TABLES)) {
    const kept = keptName(table, day);
    await manager.query(`
      CREATE TABLE ${kept} (LIKE ${table}${day.suffix} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES,
        CONSTRAINT day CHECK (${key} >= '${day.from}' AND ${key} < '${day.to}'))
      WITH (fillfactor = ${table === 'jobs' ? 85 : 100})`);
  }
  const jobs = keptName('jobs', day);
  await manager.query(
    `INSERT INTO ${jobs} SELECT j.* FROM ${day.name} j ${RULE} WHERE (j.status = 'completed' AND ${EXPIRED}) IS NOT TRUE`,
    parametersOf(ages),
  );
  const [{ moved } = { moved: 0 }] = await rowsOf<{ moved: number }>(
    manager,
    `SELECT count(*)::int AS moved FROM ${jobs}`,
  );
  for (const table of NAMES) {
    if (moved === 0) await manager.query(`DROP TABLE ${keptName(table, day)}`);
    else if (table !== 'jobs')
      await manager.query(
        `INSERT INTO ${keptName(table, day)} SELECT * FROM ${table}${day.suffix} WHERE job_id IN (SELECT id FROM ${jobs})`,
      );
  }
  return moved;
}

/** The constraint has been checked: it spares the tables a pass while they are locked. */
async function attachKept(manager: EntityManager, day: Day): Promise<void> {
  for (const table of NAMES) {
    const kept = keptName(table, day);
    await manager.query(`
      ALTER TABLE ${table} ATTACH PARTITION ${kept} FOR VALUES FROM ('${day.from}') TO ('${day.to}');
      ALTER TABLE ${kept} DROP CONSTRAINT day`);
  }
}

function keptName(table: string, { suffix }: Day): string {
  return `${table}${suffix}_kept`;
}

async function limit(manager: EntityManager, name: string, ms: number): Promise<void> {
  await manager.query(`SELECT set_config($1, $2, true)`, [name, String(ms)]);
}

function isContention(error: unknown): boolean {
  return isLockTimeout(error) || ['57014', '40P01'].includes(sqlStateOf(error) ?? '');
}
