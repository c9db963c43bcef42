import type { DataSource } from 'typeorm';
import type { Ages } from './retention-ages.js';
import { rowsOf, timeOfId } from './rows.js';

const DAY = 86_400_000;

/** A day of the partitioned tables. */
export interface Day {
  /** Of its partition of `jobs`. */
  name: string;
  /** What the names of all its partitions end with. */
  suffix: string;
  /** Its first id, and the first one after it. */
  from: string;
  to: string;
  /** It holds what was left of a day. */
  remainder: boolean;
  /** Nobody makes this day's partitions any more. */
  closed: boolean;
  /** The greatest age of a rule that all its jobs have reached, in ms. */
  age: number;
}

const DAYS = `
SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound, extract(epoch FROM now())::float8 * 1000 AS now,
  s.rules, s.age_ms::float8 AS age, s.again, s.swept_at < now() - interval '1 day' AS long_ago
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid LEFT JOIN retention_sweeps s ON s.day = c.relname
WHERE i.inhparent = 'jobs'::regclass
ORDER BY c.relname`;

interface DayRow {
  name: string;
  bound: string;
  now: number;
  rules: string | null;
  age: number | null;
  again: boolean | null;
  long_ago: boolean | null;
}

/**
 * Days that a rule has come for since they were swept, oldest first. A day that every rule has come for is swept again
 * daily as long as it has jobs that go.
 */
export async function daysDue(database: DataSource, { ages, rules }: Ages): Promise<Day[]> {
  const rows = await rowsOf<DayRow>(database, DAYS);
  return rows.flatMap((row) => {
    const day = dayOf(row, ages);
    if (!day) return [];
    const repeated = day.age === ages.at(-1) && row.again && row.long_ago;
    return row.rules === rules && day.age <= (row.age ?? 0) && !repeated ? [] : [day];
  });
}

function dayOf(row: DayRow, ages: readonly number[]): Day | undefined {
  const range = rangeOf(row);
  if (!range) return undefined;

  const { suffix, remainder, from, to, over } = range;
  const age = ages.findLast((reached) => reached <= over);
  return age === undefined
    ? undefined
    : { name: row.name, suffix, from, to, age, remainder, closed: over >= DAY };
}

interface Range extends Pick<Day, 'suffix' | 'remainder' | 'from' | 'to'> {
  /** For so long, in ms; negative until then. */
  over: number;
}

/** @returns undefined for the partition of what has no day */
function rangeOf({ name, bound, now }: Pick<DayRow, 'name' | 'bound' | 'now'>): Range | undefined {
  const [, suffix, remainder] = /^jobs(_\d{8}(_kept)?)$/.exec(name) ?? [];
  const [, from, to] = /FROM \('(.+)'\) TO \('(.+)'\)/.exec(bound) ?? [];
  if (suffix === undefined || from === undefined || to === undefined) return undefined;
  return { suffix, remainder: remainder !== undefined, from, to, over: now - timeOfId(to).getTime() };
}

const INDEXED = `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE i.indexrelid = to_regclass(c.relname || '_ends') AND i.indisvalid`;

/**
 * Closed days that the last rule is yet to come for, and that have no index of their ends, oldest first.
 * @returns the names of their partitions of `jobs`
 */
export async function restingDays(database: DataSource, { ages }: Pick<Ages, 'ages'>): Promise<string[]> {
  const rows = await rowsOf<DayRow>(database, DAYS);
  const indexed = new Set((await rowsOf<{ name: string }>(database, INDEXED)).map(({ name }) => name));
  const last = ages.at(-1) ?? 0;
  return rows.flatMap((row) => {
    const range = rangeOf(row);
    if (!range || range.remainder || indexed.has(row.name)) return [];
    return range.over >= DAY && range.over < last ? [row.name] : [];
  });
}

/** For so long a process that dies keeps the others from a day. */
const HOLD = `
INSERT INTO retention_sweeps (day, held_until) VALUES ($1, now() + interval '10 minutes')
ON CONFLICT (day) DO UPDATE SET held_until = excluded.held_until
WHERE retention_sweeps.held_until IS NULL OR retention_sweeps.held_until < now()
RETURNING day`;

const SWEPT = `
INSERT INTO retention_sweeps (day, rules, age_ms, again, swept_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (day) DO UPDATE SET held_until = NULL, rules = excluded.rules, age_ms = excluded.age_ms,
  again = excluded.again, swept_at = excluded.swept_at`;

/** @returns false: another process has it */
export async function holdDay(database: DataSource, name: string): Promise<boolean> {
  return (await rowsOf(database, HOLD, [name])).length === 1;
}

export async function giveBackDay(database: DataSource, name: string): Promise<void> {
  await database.query('DELETE FROM retention_sweeps WHERE day = $1 AND rules IS NULL', [name]);
  await database.query('UPDATE retention_sweeps SET held_until = NULL WHERE day = $1', [name]);
}

/** @param left what is left of it now, if anything, and whether some of that goes one day */
export async function markSwept(
  database: DataSource,
  day: Day,
  rules: string,
  left?: { name: string; again: boolean },
): Promise<void> {
  if (left?.name !== day.name)
    await database.query('DELETE FROM retention_sweeps WHERE day = $1', [day.name]);
  if (left) await database.query(SWEPT, [left.name, rules, day.age, left.again]);
}
