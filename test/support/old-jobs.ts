import type { DataSource } from 'typeorm';
import { z } from 'zod';
import { JobTypeRegistry } from '../../src/job-types/job-type-registry.js';
import { JobType, type JobTypeOptions } from '../../src/job-types/job-type.js';
import type { TerminalStatus } from '../../src/jobs/job.js';
import { daysDue, type Day } from '../../src/persistence/old-days.js';
import { idFloor } from '../../src/persistence/rows.js';

export const DAY = 86_400_000;
/** Partitioned by day. */
export const TABLES = ['jobs', 'job_attempts', 'job_events', 'job_logs'];

const INSERT = `
WITH made AS (
  INSERT INTO jobs (id, type, queue, data, priority, max_attempts, backoff, timeout_ms, run_at, attempts_made, status,
    started_at, finished_at, token, worker)
  SELECT uuid_v7(now() - $1 * interval '1 day'), $2, 'default', '1', 100, 2, '{"kind":"fixed","delay":1}', 1000,
    now() - $1 * interval '1 day', CASE $3 WHEN 'completed' THEN 2 ELSE 1 END, $3, now() - $1 * interval '1 day',
    now() - $4 * interval '1 day', CASE $3 WHEN 'completed' THEN gen_random_uuid() END,
    CASE $3 WHEN 'completed' THEN 'host:1' END
  FROM generate_series(1, $5::int) RETURNING id, type, queue, status
),
attempt AS (
  INSERT INTO job_attempts (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome)
  SELECT id, 'default', 1, 1, gen_random_uuid(), 'host:1', now(), now(), 'failed' FROM made
),
event AS (INSERT INTO job_events (job_id, tenant, kind) SELECT id, 'default', 'released' FROM made),
line AS (
  INSERT INTO job_logs (job_id, tenant, run, attempt, at, line) SELECT id, 'default', 1, 1, now(), 'x' FROM made
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT id, 'default', status, type, queue FROM made WHERE status <> 'completed'
)
SELECT id FROM made`;

export type OldJobsOf = [
  daysAgo: number,
  status: TerminalStatus,
  options?: { count?: number; type?: string; finishedDaysAgo?: number },
];

/** Jobs of a day, with a failed attempt, an event and a log line each. @param daysAgo also when they finished @returns ids */
export async function oldJobsOf(
  database: DataSource,
  ...[daysAgo, status, { count = 1, type = 'demo', finishedDaysAgo = daysAgo } = {}]: OldJobsOf
): Promise<string[]> {
  const rows = await database.query<{ id: string }[]>(INSERT, [
    daysAgo,
    type,
    status,
    finishedDaysAgo,
    count,
  ]);
  return rows.map(({ id }) => id);
}

/** @returns the tables that know the job */
export async function rowsLeftOf(database: DataSource, id: string): Promise<string[]> {
  const left = await Promise.all(
    [...TABLES, 'dead_letters'].map(async (table) => {
      const key = table === 'jobs' ? 'id' : 'job_id';
      const found = await database.query<unknown[]>(`SELECT FROM ${table} WHERE ${key} = $1`, [id]);
      return found.length > 0 ? [table] : [];
    }),
  );
  return left.flat();
}

/** @param ages after which something goes, in ms */
export async function dueDayOf(database: DataSource, daysAgo: number, ages: number[]): Promise<Day> {
  const at = idFloor(new Date(Date.now() - daysAgo * DAY));
  const due = await daysDue(database, { ages, rules: 'others' });
  const day = due.find(({ from, to }) => from <= at && at < to);
  if (!day) throw new Error('the day is not due');
  return day;
}

export function aType(name: string, retention: JobTypeOptions['retention']): JobTypeOptions {
  return { name, data: z.strictObject({}), example: {}, retention };
}

export function registryOf(types: JobTypeOptions[]): JobTypeRegistry {
  return new JobTypeRegistry(
    types.map((options) => {
      class Type {
        async run() {}
      }
      JobType(options)(Type);
      return Type;
    }),
  );
}
