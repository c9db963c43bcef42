import type { DataSource } from 'typeorm';
import type { JobFilter, JobHistory, JobPulse, PageRequest } from '../jobs/job-repository.js';
import type { Job, JobAttempt, JobLogLine, JobStatus } from '../jobs/job.js';
import { JobLogEntity } from './entities/job-log.entity.js';
import {
  idFloor,
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

/** In one statement, so that a job that has ended is not shown without the attempt that ended it. */
const HISTORY = `
SELECT ${JOB_COLUMNS}, (
  SELECT coalesce(json_agg(json_build_object(
    'run', a.run, 'number', a.number, 'worker', a.worker, 'startedAt', a.started_at, 'finishedAt', a.finished_at,
    'outcome', a.outcome, 'error', a.error) ORDER BY a.run, a.number), '[]')
  FROM job_attempts a WHERE a.job_id = $2
) AS attempts
FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
WHERE j.tenant = $1 AND j.id = $2`;

/** Plan: lookups by id in the partitions that $2 and $3 leave, and the end of each job's log. */
const PULSES = `
SELECT j.id, j.status, j.run, j.attempts_made, coalesce(d.progress, j.progress) AS progress, ${LIVENESS},
  coalesce((SELECT max(l.seq) FROM job_logs l WHERE l.job_id = j.id), 0)::float8 AS last_seq
FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id
WHERE j.id = ANY($1::uuid[]) AND j.id BETWEEN $2 AND $3`;

interface PulseRow extends Liveness, Pick<JobRow, 'id' | 'run' | 'attempts_made' | 'progress'> {
  last_seq: number;
}

/** Times as JSON has them. */
type AttemptRow = Omit<JobAttempt, 'startedAt' | 'finishedAt'> & { startedAt: string; finishedAt: string };

/**
 * Where jobs of each status are found. Live states stand in `dispatch`, the rare outcomes in `dead_letters`; completed
 * jobs, which most are, by walking the ids. A list takes a page from each place that it needs and merges them.
 */
const SOURCES: { statuses: JobStatus[]; from: string; where: (status: JobStatus) => string }[] = [
  {
    statuses: ['waiting', 'delayed', 'active'],
    from: 'dispatch d JOIN jobs j ON j.id = d.job_id',
    where: (status) =>
      ({
        active: 'd.worker_id IS NOT NULL',
        waiting: 'd.worker_id IS NULL AND d.run_at <= now()',
        delayed: 'd.worker_id IS NULL AND d.run_at > now()',
      })[status as 'waiting' | 'delayed' | 'active'],
  },
  {
    statuses: ['failed', 'cancelled'],
    from: 'dead_letters l JOIN jobs j ON j.id = l.job_id LEFT JOIN dispatch d ON d.job_id = j.id',
    where: (status) => `l.status = '${status}'`,
  },
  {
    statuses: ['completed'],
    from: 'jobs j LEFT JOIN dispatch d ON d.job_id = j.id',
    where: () => `j.status = 'completed'`,
  },
];

/** What clients read. */
export class JobReads {
  constructor(
    private readonly database: DataSource,
    private readonly shards: number,
  ) {}

  async find(tenant: string, id: string): Promise<Job | undefined> {
    const [row] = await rowsOf<JobRow>(this.database, FIND, [tenant, id]);
    return row && toJob(row, this.shards);
  }

  async history(tenant: string, id: string): Promise<JobHistory | undefined> {
    const [row] = await rowsOf<JobRow & { attempts: AttemptRow[] }>(this.database, HISTORY, [tenant, id]);
    if (!row) return undefined;
    const attempts = row.attempts.map(({ startedAt, finishedAt, ...attempt }) => ({
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

  async list(tenant: string, filter: JobFilter, page: PageRequest): Promise<Job[]> {
    const list = listQuery(tenant, filter, page);
    const rows = await rowsOf<JobRow>(this.database, list.sql, list.parameters);
    return rows.map((row) => toJob(row, this.shards));
  }
}

/** @param limit null for all of them @param columns `id` must be among them: the rows come by it, the greatest first */
export function listQuery(
  tenant: string,
  filter: JobFilter,
  page: { limit: number | null; before?: string },
  columns = JOB_COLUMNS,
): { sql: string; parameters: unknown[] } {
  const parameters: unknown[] = [];
  const bind = (value: unknown) => `$${parameters.push(value)}`;

  const common = [`j.tenant = ${bind(tenant)}`];
  if (filter.types?.length) common.push(`j.type = ANY(${bind(filter.types)}::text[])`);
  if (filter.queue !== undefined) common.push(`j.queue = ${bind(filter.queue)}`);
  if (filter.tags?.length) common.push(`j.tags @> ${bind(filter.tags)}::text[]`);
  if (filter.createdFrom) common.push(`j.id >= ${bind(idFloor(filter.createdFrom))}::uuid`);
  const before = earliest(page.before, filter.createdTo && idFloor(filter.createdTo));
  if (before !== undefined) common.push(`j.id < ${bind(before)}::uuid`);
  const limit = bind(page.limit);

  const sources = filter.statuses?.length
    ? sourcesOf(filter.statuses)
    : [{ from: 'jobs j LEFT JOIN dispatch d ON d.job_id = j.id', condition: 'true' }];
  const pages = sources.map(
    ({ from, condition }) =>
      `(SELECT ${columns} FROM ${from} WHERE ${common.join(' AND ')} AND (${condition}) ORDER BY j.id DESC LIMIT ${limit})`,
  );
  const sql =
    pages.length === 1 ? (pages[0] ?? '') : `${pages.join(' UNION ALL ')} ORDER BY id DESC LIMIT ${limit}`;
  return { sql, parameters };
}

function sourcesOf(statuses: JobStatus[]): { from: string; condition: string }[] {
  return SOURCES.flatMap(({ statuses: here, from, where }) => {
    const wanted = here.filter((status) => statuses.includes(status));
    if (wanted.length === 0) return [];
    return [{ from, condition: wanted.map((status) => `(${where(status)})`).join(' OR ') }];
  });
}

/** Ids compare as text as they do as uuid: both are lower-case hex. */
function earliest(...bounds: (string | undefined)[]): string | undefined {
  return bounds.filter((bound) => bound !== undefined).sort()[0];
}
