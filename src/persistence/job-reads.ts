import type { DataSource } from 'typeorm';
import type { JobFilter, JobHistory, JobPage, JobPulse, PageRequest } from '../jobs/job-repository.js';
import type { Job, JobAttempt, JobLogLine } from '../jobs/job.js';
import { JobLogEntity } from './entities/job-log.entity.js';
import { JobPages } from './job-pages.js';
import type { ReadDatabase } from './read-database.js';
import {
  idRange,
  JOB_COLUMNS,
  LIVENESS,
  rowsOf,
  statusOf,
  toJob,
  type JobRow,
  type Liveness,
} from './rows.js';

const FIND = `
SELECT ${JOB_COLUMNS} FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
WHERE j.tenant = $1 AND j.id = $2`;

/**
 * In one statement, so that a job that has ended is not shown without the attempt that ended it. One that completed it
 * stands on the job's own row, which is read anyway: the view of all attempts would read it once more.
 */
const HISTORY = `
SELECT ${JOB_COLUMNS}, (
  SELECT coalesce(json_agg(json_build_object(
    'run', a.run, 'number', a.number, 'worker', a.worker, 'startedAt', a.started_at, 'finishedAt', a.finished_at,
    'outcome', a.outcome, 'error', a.error) ORDER BY a.run, a.number), '[]')
  FROM job_attempts a WHERE a.job_id = $2
) AS attempts, CASE WHEN j.status = 'completed' AND j.token IS NOT NULL THEN json_build_object(
  'run', j.run, 'number', j.attempts_made, 'worker', j.worker, 'startedAt', j.started_at, 'finishedAt', j.finished_at,
  'outcome', j.status, 'error', NULL) END AS completing
FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
WHERE j.tenant = $1 AND j.id = $2`;

/** Plan: lookups by id in the partitions that $2 and $3 leave, and the end of each job's log. */
const PULSES = `
SELECT j.id, j.status, j.run, j.attempts_made, coalesce(d.progress, j.progress) AS progress, ${LIVENESS},
  coalesce((SELECT max(l.seq) FROM job_logs l WHERE l.job_id = j.id AND l.job_id BETWEEN $2 AND $3), 0)::float8 AS last_seq
FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
WHERE j.id = ANY($1::uuid[]) AND j.id BETWEEN $2 AND $3`;

interface PulseRow extends Liveness, Pick<JobRow, 'id' | 'run' | 'attempts_made' | 'progress'> {
  last_seq: number;
}

/** Times as JSON has them. */
type AttemptRow = Omit<JobAttempt, 'startedAt' | 'finishedAt'> & { startedAt: string; finishedAt: string };

interface HistoryRow extends JobRow {
  attempts: AttemptRow[];
  completing: AttemptRow | null;
}

/** What clients read. */
export class JobReads {
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
    private readonly lists: ReadDatabase,
  ) {}

  async find(tenant: string, id: string): Promise<Job | undefined> {
    const [row] = await rowsOf<JobRow>(this.database, FIND, [tenant, id]);
    return row && toJob(row, this.shards);
  }

  async history(tenant: string, id: string): Promise<JobHistory | undefined> {
    const [row] = await rowsOf<HistoryRow>(this.database, HISTORY, [tenant, id]);
    if (!row) return undefined;
    const rows = row.completing ? [...row.attempts, row.completing] : row.attempts;
    const attempts = rows.map(({ startedAt, finishedAt, ...attempt }) => ({
      ...attempt,
      startedAt: new Date(startedAt),
      finishedAt: new Date(finishedAt),
    }));
    return { job: toJob(row, this.shards), attempts };
  }

  async pulses(ids: readonly string[]): Promise<JobPulse[]> {
    if (ids.length === 0) return [];
    const rows = await rowsOf<PulseRow>(this.database, PULSES, [ids, ...idRange(ids)]);
    return rows.map((row) => ({
      id: row.id,
      status: statusOf(row),
      run: row.run,
      attemptsMade: row.attempts_made,
      progress: row.progress,
      lastSeq: row.last_seq,
    }));
  }

  async logs(tenant: string, id: string, page: { afterSeq: number; limit: number }): Promise<JobLogLine[]> {
    const rows = await this.database
      .getRepository(JobLogEntity)
      .createQueryBuilder('log')
      .where('log.tenant = :tenant AND log.jobId = :id AND log.seq > :afterSeq', { tenant, id, ...page })
      .orderBy('log.seq', 'ASC')
      .limit(page.limit)
      .getMany();
    return rows.map(({ seq, run, attempt, at, line }) => ({ seq: Number(seq), run, attempt, at, line }));
  }

  async page(tenant: string, filter: JobFilter, page: PageRequest): Promise<JobPage> {
    const { rows, next } = await this.lists.read((database) =>
      new JobPages(database).page(tenant, filter, page),
    );
    return { jobs: rows.map((row) => toJob(row, this.shards)), next };
  }
}
