import type { DataSource } from 'typeorm';
import { AGE, agesInForce, FOR_EVER, parametersOf, RULE, type StatusAges } from './retention-ages.js';
import { rowsOf } from './rows.js';

/** Counting and copying a day of many millions may take longer than other statements may, in ms. */
export const LONG = 600_000;

/** What a day holds: jobs that have reached their age, completed and dead ones, and jobs that are kept. */
export interface DayCount {
  completed: number;
  dead: number;
  kept: number;
  /** Of those that are kept: not for ever. */
  leaving: number;
}

/**
 * Each job is judged by its own end, since it may have ended long after its day. The rules are looked up once a type and
 * status, not once a job. An age that $4 does not know yet counts as not reached. Plan: one parallel pass over the day.
 */
const countIn = (name: string, ages: readonly number[]) => `
WITH groups AS MATERIALIZED (
  SELECT type, status, count(*) AS jobs, ARRAY[${ages.map((_, n) => endedBefore(n + 1)).join(', ')}]::bigint[] AS old
  FROM ${name} GROUP BY type, status
),
judged AS (
  SELECT j.status, jobs, coalesce(old[array_position($4::bigint[], ${AGE})], 0) AS old,
    j.status IS NULL OR ${AGE} < ${FOR_EVER} AS leaves
  FROM groups j ${RULE}
)
SELECT coalesce(sum(old) FILTER (WHERE status = 'completed'), 0)::int AS completed,
  coalesce(sum(old) FILTER (WHERE status <> 'completed'), 0)::int AS dead,
  coalesce(sum(jobs - old), 0)::int AS kept,
  coalesce(sum(jobs - old) FILTER (WHERE leaves), 0)::int AS leaving
FROM judged`;

/** The time is a query of its own, which is made once: worked out for each job, it costs more than all the rest. */
const endedBefore = (n: number) =>
  `count(*) FILTER (WHERE finished_at < (SELECT now() - ($4::bigint[])[${n}] * interval '1 ms'))`;

/** @param name of the day's partition of `jobs` */
export async function countDay(database: DataSource, name: string, byStatus: StatusAges): Promise<DayCount> {
  return database.transaction(async (manager) => {
    // Compiling the query, once in each of its processes, costs more than it saves.
    await manager.query(`SELECT set_config('statement_timeout', $1, true), set_config('jit', 'off', true)`, [
      String(LONG),
    ]);
    const { ages } = await agesInForce(manager, byStatus);
    const [counted] = await rowsOf<DayCount>(manager, countIn(name, ages), [...parametersOf(byStatus), ages]);
    return counted as DayCount;
  });
}
