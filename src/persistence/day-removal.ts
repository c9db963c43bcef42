import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import type { TerminalStatus } from '../jobs/job.js';
import { isLockTimeout, sqlStateOf } from './database-error.js';
import { countDay, type DayCount } from './day-count.js';
import { endedJobs, isIndexed } from './day-ends.js';
import { attachKept, copyKept, dropDay, HISTORY, keptName, lockDay } from './day-partitions.js';
import type { Day } from './old-days.js';
import { EXPIRED, parametersOf, RULE, type StatusAges } from './retention-ages.js';
import { rowsOf } from './rows.js';

/** Jobs that are kept are moved out of a day up to this number; where they are more, the others are deleted instead. */
const MOST_MOVED = 50_000;
const BATCH = 2_000;
/** Dead letters of a day that is dropped, removed at a time. */
const LETTERS = 10_000;
const STATUSES: TerminalStatus[] = ['completed', 'failed', 'cancelled'];
const NO_ID = '00000000-0000-0000-0000-000000000000';
const TRIES = 25;

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
  HISTORY.map(
    (table) => `${table}_gone AS (DELETE FROM ${table}${suffix} h USING ${gone} g WHERE h.job_id = g.id)`,
  ).join(', ');

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

/**
 * All or none: only where there are as many as were counted ($6), nothing has become of them. Their jobs are not written:
 * that would touch most pages of the day, just before they go. Plan: ranges of both keys.
 */
const removeLettersIn = ({ name }: Day) => `
WITH old AS MATERIALIZED (
  SELECT l.job_id FROM dead_letters l JOIN ${name} j ON j.id = l.job_id ${RULE}
  WHERE l.job_id >= $4 AND l.job_id < $5 AND ${EXPIRED}
  ORDER BY l.job_id FOR UPDATE OF l SKIP LOCKED
),
gone AS (DELETE FROM dead_letters l USING old WHERE l.job_id = old.job_id AND (SELECT count(*) FROM old) = $6)
SELECT count(*) = $6 AS removed FROM old`;

const LETTERS_OF = 'SELECT count(*)::int AS dead FROM dead_letters WHERE job_id >= $1 AND job_id < $2';

/** The same where it is known that each is old. What is retried just now is locked. */
const REMOVE_LETTERS = `
WITH old AS MATERIALIZED (
  SELECT job_id FROM dead_letters WHERE job_id >= $1 AND job_id < $2 ORDER BY job_id FOR UPDATE SKIP LOCKED
),
gone AS (DELETE FROM dead_letters l USING old WHERE l.job_id = old.job_id AND (SELECT count(*) FROM old) = $3)
SELECT count(*) = $3 AS removed FROM old`;

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
 * Removes from one day what has reached its age. Where all of it has by an index, it is dropped. Else it is read. Where little is left of the day, its partitions are dropped, and what is
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
    const unread = await this.droppedUnread(day);
    if (unread !== undefined) return { removed: unread, moved: 0, dropped: true };

    const counted = await countDay(this.database, day.name, this.ages);
    const { completed, dead, kept, leaving } = counted;
    const old = completed + dead;
    const left = { name: day.name, again: leaving > 0 };
    if (old === 0 && kept > 0) return { removed: 0, moved: 0, dropped: false, left };

    const few = kept === 0 || (!day.remainder && kept <= this.mostMoved && kept < old);
    if (!day.closed || !few) return { removed: await this.thin(day), moved: 0, dropped: false, left };
    if (await this.dropped(day, counted)) return { removed: old, moved: 0, dropped: true };
    // Nothing is moved a second time: an empty day goes with the next sweep.
    if (day.remainder)
      return { removed: await this.thin(day), moved: 0, dropped: false, left: { ...left, again: true } };

    const moved = await this.replace(day, counted);
    const again = leaving > 0 || moved > kept;
    return {
      removed: old + kept - moved,
      moved,
      dropped: true,
      left: moved > 0 ? { name: keptName('jobs', day), again } : undefined,
    };
  }

  /**
   * Where all of a day is known to have ended before any rule keeps it, it is not read.
   * @returns how many jobs it had; undefined: nothing was done
   */
  private async droppedUnread(day: Day): Promise<number | undefined> {
    if (!day.closed || day.remainder || !(await isIndexed(this.database, day.name))) return undefined;
    // Its writers wait only where it is about to go.
    if (!(await this.database.transaction((manager) => this.ended(manager, day)))) return undefined;
    return this.exclusively(day, async (manager) => {
      const ended = await this.ended(manager, day);
      if (!ended) return undefined;
      const { jobs, dead } = ended;
      const [letters] =
        dead > 0 ? await rowsOf<{ removed: boolean }>(manager, REMOVE_LETTERS, [day.from, day.to, dead]) : [];
      if (letters?.removed === false) return undefined;
      await dropDay(manager, day);
      return jobs;
    });
  }

  private async ended(manager: EntityManager, day: Day): Promise<{ jobs: number; dead: number } | undefined> {
    const [{ dead = 0 } = {}] = await rowsOf<{ dead?: number }>(manager, LETTERS_OF, [day.from, day.to]);
    if (dead > LETTERS) return undefined;
    const jobs = await endedJobs(manager, day, dead > 0 ? STATUSES : ['completed'], this.ages);
    return jobs === undefined ? undefined : { jobs, dead };
  }

  /**
   * The dead letters go with the day, in its transaction: then all that the day still has is completed, and old, and
   * nothing can become of it. @returns false: nothing was done, since something is kept, or was retried after it was
   * counted, or the letters are so many that writers of the day would wait for long
   */
  private async dropped(day: Day, { dead, kept }: DayCount): Promise<boolean> {
    if (kept > 0 || dead > LETTERS) return false;
    return this.exclusively(day, async (manager) => {
      const whole = dead === 0 || (await removeLetters(manager, day, dead, this.ages));
      if (whole) await dropDay(manager, day);
      return whole;
    });
  }

  /** @returns how many jobs were moved */
  private async replace(day: Day, { dead, kept }: DayCount): Promise<number> {
    const removed = await this.removeDead(day, false);
    const empty = kept === 0 && removed === dead;
    return this.exclusively(day, async (manager) => {
      const moved = empty ? 0 : await copyKept(manager, day, this.ages, this.mostMoved);
      await dropDay(manager, day);
      if (moved > 0) await attachKept(manager, day);
      return moved;
    });
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

  /** Writers of this day, which are few, wait meanwhile. */
  private async exclusively<T>(day: Day, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.database.transaction(async (manager) => {
          await lockDay(manager, day);
          return work(manager);
        });
      } catch (error) {
        if (!isContention(error) || tries === TRIES || this.stopping()) throw error;
        await sleep(100 + Math.random() * 400);
      }
    }
  }
}

async function removeLetters(
  manager: EntityManager,
  day: Day,
  counted: number,
  ages: StatusAges,
): Promise<boolean> {
  const parameters = [...parametersOf(ages), day.from, day.to, counted];
  const [letters] = await rowsOf<{ removed: boolean }>(manager, removeLettersIn(day), parameters);
  return letters?.removed === true;
}

function isContention(error: unknown): boolean {
  return isLockTimeout(error) || ['57014', '40P01'].includes(sqlStateOf(error) ?? '');
}
