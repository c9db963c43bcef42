import type { DataSource, EntityManager } from 'typeorm';
import type { TerminalStatus } from '../jobs/job.js';
import type { Day } from './old-days.js';
import type { StatusAges } from './retention-ages.js';
import { rowsOf } from './rows.js';

/** For so long at most it is made, and before that an unfinished one removed, in ms: less than a day is held for. */
const INDEXING = 240_000;

/** A process may have died over it. */
const INDEX = 'SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)';

/** @returns undefined where there is none, false where it is of no use */
export async function isIndexed(
  database: Pick<DataSource, 'query'>,
  name: string,
): Promise<boolean | undefined> {
  const [index] = await rowsOf<{ valid: boolean }>(database, INDEX, [`${name}_ends`]);
  return index?.valid;
}

/**
 * Lets a day tell when the last of its jobs ended, without a look at each: an index of some kilobytes, which holds the
 * latest end of every 128 pages. Made while the day rests, since an index on an end forbids PostgreSQL 15 to update rows
 * in place. Writers of the day do not wait for it; it waits for whatever transactions are older, until `stop`.
 *
 * @param name of the day's partition of `jobs`
 * @returns whether there was anything to do
 */
export async function indexEnds(database: DataSource, name: string, stop?: AbortSignal): Promise<boolean> {
  const valid = await isIndexed(database, name);
  if (valid) return false;

  const session = database.createQueryRunner();
  let cancel = (): void => undefined;
  try {
    await session.query(`SET statement_timeout = ${INDEXING}; SET lock_timeout = 0`);
    const [{ pid } = {}] = await rowsOf<{ pid?: number }>(session, 'SELECT pg_backend_pid() AS pid');
    cancel = () => void database.query('SELECT pg_cancel_backend($1)', [pid]).catch(() => undefined);
    stop?.addEventListener('abort', cancel);
    stop?.throwIfAborted();
    if (valid === false) await session.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}_ends`);
    await session.query(`CREATE INDEX CONCURRENTLY ${name}_ends ON ${name} USING brin (finished_at)`);
    return true;
  } finally {
    stop?.removeEventListener('abort', cancel);
    await session.query('RESET statement_timeout; RESET lock_timeout').catch(() => undefined);
    await session.release();
  }
}

/** $1: the greatest age of those statuses where a type says nothing, in ms; $2: the statuses. */
const CUTOFF = `
SELECT now() - greatest($1::bigint, max(age_ms)) * interval '1 ms' AS cutoff
FROM retention_rules WHERE status = ANY($2::text[])`;

/** Plan: a range of the key of `dispatch`; the index, and of the day what stands in 128 pages with one that would be kept. */
const lateIn = ({ name }: Day) => `
SELECT EXISTS (SELECT FROM dispatch WHERE job_id >= $3 AND job_id < $4)
  OR EXISTS (SELECT FROM ${name} WHERE finished_at >= $1) AS late,
  (SELECT greatest(0, reltuples)::float8 FROM pg_class WHERE oid = $2::regclass) AS jobs`;

/**
 * @param day with an index
 * @param statuses that its jobs may have
 * @returns how many jobs it has, as PostgreSQL counted them for the index; undefined where one of them is not over, or
 * ended so late that a rule for one of the statuses may keep it
 */
export async function endedJobs(
  manager: EntityManager,
  day: Day,
  statuses: readonly TerminalStatus[],
  ages: StatusAges,
): Promise<number | undefined> {
  await manager.query(`SELECT set_config('enable_seqscan', 'off', true)`);
  const greatest = Math.max(...statuses.map((status) => ages[status]));
  const [rule] = await rowsOf<{ cutoff: Date }>(manager, CUTOFF, [greatest, statuses]);
  const [found] = await rowsOf<{ late: boolean; jobs: number }>(manager, lateIn(day), [
    rule?.cutoff,
    day.name,
    day.from,
    day.to,
  ]);
  return found?.late === false ? found.jobs : undefined;
}
