import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  StatisticsRepository,
  type Activity,
  type Pace,
  type TypeStatistics,
} from '../jobs/statistics/statistics-repository.js';
import { answering } from './database-error.js';
import { rowsOf } from './rows.js';

const added = (column: string) => `${column} = s.${column} + excluded.${column}`;

const merged = (column: string) => `${column} = ARRAY(
    SELECT coalesce(known, 0) + coalesce(more, 0)
    FROM unnest(s.${column}, excluded.${column}) WITH ORDINALITY AS u(known, more, slot) ORDER BY slot
  )`;

/** Rows are taken in one order, so that two processes cannot deadlock. The commit need not wait for the disk. */
const ADD = `
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO job_statistics AS s
  (tenant, minute, queue, type, submitted, completed, failed, retried, deliveries, slot_ms, wait, run)
SELECT a.tenant, date_trunc('minute', now()), a.queue, a.type,
  a.submitted, a.completed, a.failed, a.retried, a.deliveries, a."slotMs", a.wait, a.run
FROM quick, json_to_recordset($1::json) AS a(
  tenant text, queue text, type text, submitted bigint, completed bigint, failed bigint, retried bigint,
  deliveries bigint, "slotMs" float8, wait bigint[], run bigint[]
)
ORDER BY a.tenant, a.queue, a.type
ON CONFLICT (tenant, minute, queue, type) DO UPDATE SET
  ${['submitted', 'completed', 'failed', 'retried', 'deliveries', 'slot_ms'].map(added).join(', ')},
  ${['wait', 'run'].map(merged).join(', ')}`;

const floorOf = (parameter: string) => `date_trunc('minute', now()) - ${parameter} * interval '1 minute'`;

/** Slot by slot: no histogram has a gap, so the sums are as dense. */
const summed = (column: string) => `
${column}_sums AS (
  SELECT queue, type, array_agg(n ORDER BY slot) AS counts
  FROM (
    SELECT queue, type, slot, sum(n)::float8 AS n
    FROM recent, unnest(${column}) WITH ORDINALITY AS u(n, slot) GROUP BY queue, type, slot
  ) AS slots
  GROUP BY queue, type
)`;

/** Plan: a range of the primary key, $2 rows a type. */
const READ = `
WITH recent AS MATERIALIZED (
  SELECT * FROM job_statistics WHERE tenant = $1 AND minute >= ${floorOf('$2::int')}
),
${summed('wait')},
${summed('run')},
counts AS (
  SELECT queue, type, sum(submitted)::float8 AS submitted, sum(completed)::float8 AS completed,
    sum(failed)::float8 AS failed, sum(retried)::float8 AS retried, sum(deliveries)::float8 AS deliveries,
    sum(slot_ms) AS "slotMs"
  FROM recent GROUP BY queue, type
)
SELECT (extract(epoch FROM now() - (${floorOf('$2::int')})))::float8 AS seconds, (
  SELECT coalesce(json_agg(t ORDER BY t.queue, t.type), '[]') FROM (
    SELECT c.*, coalesce(w.counts, '{}') AS wait, coalesce(r.counts, '{}') AS run
    FROM counts c LEFT JOIN wait_sums w USING (queue, type) LEFT JOIN run_sums r USING (queue, type)
  ) AS t
) AS types`;

/** Plan: a range of job_statistics_queue. */
const PACE = `
SELECT coalesce(sum(deliveries), 0)::float8 AS deliveries, coalesce(sum(slot_ms), 0)::float8 AS "slotMs"
FROM job_statistics WHERE queue = $1 AND minute >= ${floorOf('$2::int')}`;

/** What another process deletes just now is left to it. */
const PRUNE = `
WITH gone AS (
  DELETE FROM job_statistics WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM job_statistics WHERE minute < ${floorOf('$1::int')} FOR UPDATE SKIP LOCKED
  ))
  RETURNING 1
)
SELECT count(*)::int AS count FROM gone`;

/** Kept statistics in PostgreSQL: many rows are written into, few are read. */
@Injectable()
export class TypeOrmStatisticsRepository extends StatisticsRepository {
  constructor(private readonly database: DataSource) {
    super();
  }

  async add(activity: readonly Activity[]): Promise<void> {
    await answering(() => this.database.query(ADD, [JSON.stringify(activity)]));
  }

  read(tenant: string, minutes: number): Promise<{ seconds: number; types: TypeStatistics[] }> {
    return answering(async () => {
      const rows = await rowsOf<{ seconds: number; types: TypeStatistics[] }>(this.database, READ, [
        tenant,
        minutes,
      ]);
      return rows[0] ?? { seconds: 0, types: [] };
    });
  }

  pace(queue: string, minutes: number): Promise<Pace> {
    return answering(async () => {
      const [pace] = await rowsOf<Pace>(this.database, PACE, [queue, minutes]);
      return pace ?? { deliveries: 0, slotMs: 0 };
    });
  }

  prune(minutes: number): Promise<number> {
    return answering(async () => {
      const [row] = await rowsOf<{ count: number }>(this.database, PRUNE, [minutes]);
      return row?.count ?? 0;
    });
  }
}
