import type { EntityManager } from 'typeorm';
import { LONG } from './day-count.js';
import type { Day } from './old-days.js';
import { EXPIRED, parametersOf, RULE, type StatusAges } from './retention-ages.js';
import { rowsOf } from './rows.js';

/** Partitioned tables and their keys. */
const TABLES = { jobs: 'id', job_attempts: 'job_id', job_events: 'job_id', job_logs: 'job_id' };
const NAMES = Object.keys(TABLES);
export const HISTORY = NAMES.slice(1);

/** For so long at most a submit waits behind the drop of a day that does not get its locks, in ms. */
const LOCKING = 50;

/** Its writers, which are few, wait until the transaction ends; its readers do not. */
export async function lockDay(manager: EntityManager, day: Day): Promise<void> {
  await manager.query(
    `SELECT set_config('lock_timeout', '2000', true), set_config('statement_timeout', $1, true), set_config('jit', 'off', true)`,
    [String(LONG)],
  );
  await manager.query(`LOCK TABLE ${partitionsOf(day)} IN SHARE ROW EXCLUSIVE MODE`);
}

/** The tables themselves, and with them all submits, are locked for the exchange alone. */
export async function dropDay(manager: EntityManager, day: Day): Promise<void> {
  await limit(manager, 'statement_timeout', LOCKING);
  await manager.query(
    `LOCK TABLE ${NAMES.map((table) => `ONLY ${table}`).join(', ')} IN ACCESS EXCLUSIVE MODE`,
  );
  await limit(manager, 'statement_timeout', LONG);
  await manager.query(`DROP TABLE ${partitionsOf(day)}`);
}

/**
 * What is completed and older than any rule asks for needs no look at its own. Plan: one pass, in which that is left out
 * before the rules are looked up: parallel, since it only reads.
 */
const keptIn = ({ name }: Day) => `
SELECT j.id FROM ${name} j ${RULE}
WHERE (j.status = 'completed' AND ${EXPIRED}) IS NOT TRUE AND (j.status = 'completed' AND j.finished_at < (
  SELECT now() - greatest($1::bigint, max(age_ms)) * interval '1 ms' FROM retention_rules
)) IS NOT TRUE
LIMIT $4::bigint + 1`;

/**
 * Everything but what is completed and old: a failed job that is here yet may have been retried.
 * @throws Error where that is more than `most`: many were retried since they were counted, or the rules have changed
 */
export async function copyKept(
  manager: EntityManager,
  day: Day,
  ages: StatusAges,
  most: number,
): Promise<number> {
  const kept = await rowsOf<{ id: string }>(manager, keptIn(day), [...parametersOf(ages), most]);
  if (kept.length > most) throw new Error(`more of ${day.name} is kept than was counted: it is counted anew`);
  if (kept.length === 0) return 0;

  const ids = kept.map(({ id }) => id);
  for (const [table, key] of Object.entries(TABLES)) {
    const copy = keptName(table, day);
    await manager.query(`
      CREATE TABLE ${copy} (LIKE ${table}${day.suffix} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES,
        CONSTRAINT day CHECK (${key} >= '${day.from}' AND ${key} < '${day.to}'))
      WITH (fillfactor = ${table === 'jobs' ? 85 : 100})`);
    await manager.query(
      `INSERT INTO ${copy} SELECT * FROM ${table}${day.suffix} WHERE ${key} = ANY($1::uuid[])`,
      [ids],
    );
  }
  return ids.length;
}

/** The constraint has been checked: it spares the tables a pass while they are locked. */
export async function attachKept(manager: EntityManager, day: Day): Promise<void> {
  for (const table of NAMES) {
    const kept = keptName(table, day);
    await manager.query(`
      ALTER TABLE ${table} ATTACH PARTITION ${kept} FOR VALUES FROM ('${day.from}') TO ('${day.to}');
      ALTER TABLE ${kept} DROP CONSTRAINT day`);
  }
}

function partitionsOf({ suffix }: Day): string {
  return NAMES.map((table) => table + suffix).join(', ');
}

export function keptName(table: string, { suffix }: Day): string {
  return `${table}${suffix}_kept`;
}

async function limit(manager: EntityManager, name: string, ms: number): Promise<void> {
  await manager.query(`SELECT set_config($1, $2, true)`, [name, String(ms)]);
}
