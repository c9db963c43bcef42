import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { LEASE } from '../jobs/delivery/reaper.js';
import { WorkerRepository, type JobInHand, type WorkerState } from '../workers/worker-repository.js';
import { answering } from './database-error.js';
import { rowsOf } from './rows.js';

/** Plan: a scan of `workers`, then for each a range of dispatch_active, which holds no more than it can run. */
const LIST = `
SELECT w.id, w.host, w.pid, w.queues, w.types, w.concurrency, w.started_at AS "startedAt",
  w.heartbeat_at AS "heartbeatAt", w.loop_lag_ms AS lag,
  w.heartbeat_at < now() - ${LEASE} * interval '1 ms' AS stale, d.active, d.jobs
FROM workers w CROSS JOIN LATERAL (
  SELECT count(*)::int AS active, coalesce(
    json_agg(json_build_object('id', job_id, 'type', type, 'since', claimed_at) ORDER BY claimed_at, job_id)
      FILTER (WHERE place <= $2), '[]'
  ) AS jobs
  FROM (
    SELECT job_id, type, claimed_at, row_number() OVER (ORDER BY claimed_at, job_id) AS place
    FROM dispatch WHERE worker_id = w.id AND tenant = $1
  ) AS held
) AS d
ORDER BY w.started_at, w.id
LIMIT $3`;

/** Times of jobs as JSON has them. */
type Row = Omit<WorkerState, 'jobs'> & { jobs: (Omit<JobInHand, 'since'> & { since: string })[] };

/** The worker processes that beat in PostgreSQL. */
@Injectable()
export class TypeOrmWorkerRepository extends WorkerRepository {
  constructor(private readonly database: DataSource) {
    super();
  }

  list(tenant: string, most: { workers: number; jobs: number }): Promise<WorkerState[]> {
    return answering(async () => {
      const rows = await rowsOf<Row>(this.database, LIST, [tenant, most.jobs, most.workers]);
      return rows.map(({ jobs, ...worker }) => ({
        ...worker,
        jobs: jobs.map(({ since, ...job }) => ({ ...job, since: new Date(since) })),
      }));
    });
  }
}
