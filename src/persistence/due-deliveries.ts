import type { DataSource } from 'typeorm';
import type { Delivery, Lane } from '../jobs/job-queue.js';
import type { DueDelivery, DuePosition } from '../jobs/job-repository.js';
import type { Json } from '../jobs/job.js';
import { DayStatement } from './day-statement.js';
import { PreparedStatement } from './prepared-statement.js';
import { plainArray, rowsOf } from './rows.js';

export const LEAST_ID = '00000000-0000-0000-0000-000000000000';

/** Stored sizes beyond this are not read for display. */
const LARGEST_SHOWN = 2_000;

/** A first delivery committed so lately is left to the process that did; a delay that is over has waited enough. */
const FRESH = `interval '500 ms'`;

export const SHOWN = `pg_column_size(j.data) <= ${LARGEST_SHOWN} AS shown,
  CASE WHEN pg_column_size(j.data) <= ${LARGEST_SHOWN} THEN j.data END AS data`;

const OPEN = `NOT EXISTS (SELECT FROM queue_pauses p WHERE p.queue = $1)`;

/**
 * The priorities that occur (few), so that of each the due ones are found by index: a million delayed rows in front of
 * them are never read. Plan: a step over dispatch_to_push for each.
 */
const LEVELS = `
RECURSIVE level(priority) AS (
  (SELECT priority FROM dispatch
   WHERE queue = $1 AND shard = $2 AND pushed_at IS NULL AND ${OPEN} ORDER BY priority LIMIT 1)
  UNION ALL
  SELECT (SELECT d.priority FROM dispatch d
    WHERE d.queue = $1 AND d.shard = $2 AND d.pushed_at IS NULL AND d.priority > level.priority
    ORDER BY d.priority LIMIT 1)
  FROM level WHERE level.priority IS NOT NULL
)`;

/**
 * $4 to $6: of a priority the last one that was read.
 * Plan: of each priority a range of dispatch_to_push.
 */
const DUE = new PreparedStatement(
  'due_deliveries',
  `
WITH ${LEVELS},
due AS (
  SELECT d.* FROM level
  LEFT JOIN unnest($4::smallint[], $5::timestamptz[], $6::uuid[]) AS walked(priority, run_at, job_id)
    ON walked.priority = level.priority
  CROSS JOIN LATERAL (
    SELECT job_id, delivery, type, priority, run_at FROM dispatch
    WHERE queue = $1 AND shard = $2 AND pushed_at IS NULL AND priority = level.priority AND run_at <= now()
      AND (run_at, job_id) > (coalesce(walked.run_at, '-infinity'), coalesce(walked.job_id, '${LEAST_ID}'))
      AND (expires_at IS NULL OR expires_at > now())
      AND (delivery > 1 OR run_at < now() - ${FRESH} OR job_id < (SELECT uuid_v7(now() - ${FRESH})))
    ORDER BY run_at, job_id LIMIT $3
  ) d
  ORDER BY d.priority, d.run_at, d.job_id
  LIMIT $3
)
SELECT job_id AS "jobId", delivery, type, priority, run_at::text AS "runAt" FROM due
ORDER BY priority, due.run_at, job_id`,
);

/** Plan: lookups by id. */
const SHOWN_DATA = new DayStatement(
  'shown_data',
  1,
  ({ jobs, pruned }) => `
SELECT j.id, ${SHOWN} FROM unnest($1::uuid[]) AS a(id) JOIN ${jobs} j ON j.id = a.id ${pruned}`,
);

const BACKLOG = `
WITH ${LEVELS}
SELECT NOT ${OPEN} OR EXISTS (
  SELECT FROM level CROSS JOIN LATERAL (
    SELECT FROM dispatch
    WHERE queue = $1 AND shard = $2 AND pushed_at IS NULL AND priority = level.priority AND run_at < now() - ${FRESH}
    LIMIT 1
  ) d
) AS backlog`;

export interface Shown {
  shown: boolean;
  data: Json;
}

/** Reads what is due of a lane, and whether that is a backlog. */
export class DueDeliveries {
  constructor(private readonly database: DataSource) {}

  async due(
    lane: Lane,
    limit: number,
    after: readonly DuePosition[] = [],
  ): Promise<(DueDelivery & DuePosition)[]> {
    const due = await DUE.rowsOf<Delivery & DuePosition & { type: string }>(this.database, [
      lane.queue,
      lane.shard,
      limit,
      after.map(({ priority }) => priority),
      after.map(({ runAt }) => runAt),
      after.map(({ jobId }) => jobId),
    ]);
    if (due.length === 0) return [];

    const ids = due.map(({ jobId }) => jobId);
    const shown = await SHOWN_DATA.rowsOf<Shown & { id: string }>(this.database, ids, [plainArray(ids)]);
    const shownOf = new Map(shown.map((row) => [row.id, row]));
    const { queue, shard } = lane;
    return due.map(({ jobId, delivery, type, priority, runAt }) => {
      const row = shownOf.get(jobId);
      const data = row?.shown ? row.data : undefined;
      return { queue, shard, jobId, delivery, type, priority, runAt, data };
    });
  }

  async hasBacklog(lane: Lane): Promise<boolean> {
    const [row] = await rowsOf<{ backlog: boolean }>(this.database, BACKLOG, [lane.queue, lane.shard]);
    return row?.backlog === true;
  }
}

export function dataIn({ shown, data }: Shown): { data?: Json } {
  return shown ? { data } : {};
}
