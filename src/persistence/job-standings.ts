import type { DataSource } from 'typeorm';
import type { Standing } from '../jobs/job-repository.js';
import { rowsOf } from './rows.js';

/**
 * Who goes before a job, by priority, due time and id, counted up to $3: what waits for the relay a priority at a time,
 * so that jobs which are not due are never read; what is pushed is no more than the lane's window.
 * Plan: steps and ranges of dispatch_to_push, a range of dispatch_unclaimed, a scan of dispatch_active.
 */
const STANDING = `
WITH RECURSIVE mine AS MATERIALIZED (
  SELECT job_id, queue, shard, priority, run_at, crashes, pushed_at FROM dispatch
  WHERE tenant = $1 AND job_id = $2 AND token IS NULL
),
level(priority) AS (
  SELECT (SELECT d.priority FROM dispatch d
    WHERE d.queue = m.queue AND d.shard = m.shard AND d.pushed_at IS NULL AND d.priority <= m.priority
    ORDER BY d.priority LIMIT 1)
  FROM mine m
  UNION ALL
  SELECT (SELECT d.priority FROM dispatch d
    WHERE d.queue = m.queue AND d.shard = m.shard AND d.pushed_at IS NULL
      AND d.priority > l.priority AND d.priority <= m.priority
    ORDER BY d.priority LIMIT 1)
  FROM level l, mine m WHERE l.priority IS NOT NULL
),
before AS (
  (SELECT 1 FROM mine m, level l CROSS JOIN LATERAL (
    SELECT 1 FROM dispatch d
    WHERE d.queue = m.queue AND d.shard = m.shard AND d.pushed_at IS NULL AND d.priority = l.priority
      AND d.run_at <= CASE WHEN l.priority < m.priority THEN now() ELSE least(now(), m.run_at) END
      AND (l.priority < m.priority OR (d.run_at, d.job_id) < (m.run_at, m.job_id))
    LIMIT $3
  ) AS unpushed
  LIMIT $3)
  UNION ALL
  (SELECT 1 FROM mine m JOIN dispatch d ON d.queue = m.queue AND d.shard = m.shard
  WHERE d.token IS NULL AND d.pushed_at IS NOT NULL AND d.run_at <= now()
    AND (d.priority, d.run_at, d.job_id) < (m.priority, m.run_at, m.job_id)
  LIMIT $3)
)
SELECT now() AS at, m.pushed_at IS NOT NULL AS pushed, m.crashes,
  EXISTS (
    SELECT FROM lane_leases l WHERE l.queue = m.queue AND l.shard = m.shard AND l.expires_at >= now()
  ) AS relayed,
  least($3, (SELECT count(*) FROM before))::int AS ahead,
  (SELECT count(*) FROM dispatch d
    WHERE d.worker_id IS NOT NULL AND d.queue = m.queue AND d.shard = m.shard)::int AS active
FROM mine m`;

/** Where jobs stand that wait for their start. */
export class JobStandings {
  constructor(private readonly database: DataSource) {}

  async of(tenant: string, id: string, most: number): Promise<Standing | undefined> {
    const [standing] = await rowsOf<Standing>(this.database, STANDING, [tenant, id, most]);
    return standing;
  }
}
