import type { JobFilter } from '../jobs/job-repository.js';
import type { JobStatus } from '../jobs/job.js';
import { idFloor, JOB_COLUMNS } from './rows.js';

/** Of more types than this, jobs are not found by an index for each. */
const MOST_TYPES = 8;

/** Ids from `from` on, and before `before`. */
export interface IdRange {
  from?: string;
  before?: string;
}

interface Query {
  sql: string;
  parameters: unknown[];
}

/** SQL, where `?` stands for the value. */
type Condition = string | [sql: string, value: unknown];

/** A place where jobs stand in the order of their ids. */
interface Source {
  table: string;
  /** The join with `jobs` (`j`), or with `dispatch` (`d`). */
  join: string;
  key: string;
  /** What its index answers. */
  indexed: Condition[];
  /** What has to be looked at, job by job. */
  rest: Condition[];
}

/**
 * Live states stand in `dispatch`, the rare outcomes in `dead_letters`; completed jobs, which most are, are found by
 * walking the ids. A list takes a page from each place that it needs and merges them.
 * @param limit null for all of them @param among of these alone
 * @param columns `id` must be among them: the rows come by it, the greatest first
 */
export function listQuery(
  tenant: string,
  filter: JobFilter,
  { limit, among, ...range }: IdRange & { limit: number | null; among?: readonly string[] },
  columns = JOB_COLUMNS,
): Query {
  const { parameters, where, bind } = writing();
  const most = bind(limit);
  const chosen: Condition[] = among ? [['j.id = ANY(?::uuid[])', among]] : [];

  const pages = sourcesOf(tenant, filter).map(({ table, join, key, indexed, rest }) => {
    // The planner leaves out partitions by what is said of `jobs` itself.
    const bounds = [...new Set([key, 'j.id'])].flatMap((column) => boundsOf(column, range, filter));
    const conditions = where([...indexed, ...rest, ...bounds, ...chosen]);
    return `(SELECT ${columns} FROM ${table} ${join} ${conditions} ORDER BY ${key} DESC LIMIT ${most})`;
  });
  const sql =
    pages.length === 1 ? (pages[0] ?? '') : `${pages.join(' UNION ALL ')} ORDER BY id DESC LIMIT ${most}`;
  return { sql, parameters };
}

/**
 * The id from which on no source has more than `rows` jobs to look at, in the range; no row where none has so many.
 * Plan: index-only scans backward. @returns undefined where indexes answer all of the filter
 */
export function edgeQuery(
  tenant: string,
  filter: JobFilter,
  range: IdRange,
  rows: number,
): Query | undefined {
  const walked = sourcesOf(tenant, filter).filter(({ rest }) => rest.length > 0);
  if (walked.length === 0) return undefined;

  const { parameters, where, bind } = writing();
  const skipped = bind(rows - 1);
  const edges = walked.map(({ table, key, indexed }) => {
    const conditions = where([...indexed, ...boundsOf(key, range, filter)]);
    return `(SELECT ${key} AS id FROM ${table} ${conditions} ORDER BY ${key} DESC OFFSET ${skipped} LIMIT 1)`;
  });
  return { sql: `SELECT id FROM (${edges.join(' UNION ALL ')}) AS e ORDER BY id DESC LIMIT 1`, parameters };
}

/** Jobs with these tags, in no order, `limit` at most. Plan: jobs_tags, where they are rare. */
export function taggedQuery(tenant: string, filter: JobFilter, range: IdRange, limit: number): Query {
  const { parameters, where, bind } = writing();
  const conditions = where([
    ['j.tenant = ?', tenant],
    ['j.tags @> ?::text[]', filter.tags],
    ...boundsOf('j.id', range, filter),
  ]);
  return { sql: `SELECT j.id FROM jobs j ${conditions} LIMIT ${bind(limit)}`, parameters };
}

function sourcesOf(tenant: string, filter: JobFilter): Source[] {
  const { statuses = [] } = filter;
  if (statuses.length === 0) return jobsOf(tenant, filter);

  const letters = (['failed', 'cancelled'] as const).filter((status) => statuses.includes(status));
  return [
    ...liveOf(tenant, filter),
    ...letters.flatMap((status) => lettersOf(tenant, filter, status)),
    ...(statuses.includes('completed') ? jobsOf(tenant, filter, [`j.status = 'completed'`]) : []),
  ];
}

function jobsOf(tenant: string, filter: JobFilter, ended: Condition[] = []): Source[] {
  return byType(filter, 'j').map(({ indexed, rest }) => ({
    ...{ table: 'jobs j', join: 'LEFT JOIN dispatch d ON d.job_id = j.id', key: 'j.id' },
    indexed: [['j.tenant = ?', tenant], ...indexed],
    rest: [...rest, ...othersOf(filter, 'j'), ...ended],
  }));
}

function lettersOf(tenant: string, filter: JobFilter, status: 'failed' | 'cancelled'): Source[] {
  return byType(filter, 'l').map(({ indexed, rest }) => ({
    ...{ table: 'dead_letters l', key: 'l.job_id' },
    join: 'JOIN jobs j ON j.id = l.job_id LEFT JOIN dispatch d ON d.job_id = j.id',
    indexed: [['l.tenant = ?', tenant], `l.status = '${status}'`, ...indexed],
    rest: [...rest, ...othersOf(filter, 'l')],
  }));
}

const LIVE: Partial<Record<JobStatus, string>> = {
  active: 'd.worker_id IS NOT NULL',
  waiting: 'd.worker_id IS NULL AND d.run_at <= now()',
  delayed: 'd.worker_id IS NULL AND d.run_at > now()',
};

/** No index but the key: an index on a state would make every claim dearer. */
function liveOf(tenant: string, filter: JobFilter): Source[] {
  const states = filter.statuses?.flatMap((status) => LIVE[status] ?? []) ?? [];
  if (states.length === 0) return [];

  const types: Condition[] = filter.types?.length ? [['d.type = ANY(?::text[])', filter.types]] : [];
  const state = `(${states.map((each) => `(${each})`).join(' OR ')})`;
  return [
    {
      ...{ table: 'dispatch d', join: 'JOIN jobs j ON j.id = d.job_id', key: 'd.job_id', indexed: [] },
      rest: [['d.tenant = ?', tenant], state, ...types, ...othersOf(filter, 'd')],
    },
  ];
}

/** One part for each type, where these are few; one for all of them otherwise. */
function byType({ types = [] }: JobFilter, alias: string): Pick<Source, 'indexed' | 'rest'>[] {
  if (types.length === 0) return [{ indexed: [], rest: [] }];
  if (types.length > MOST_TYPES) return [{ indexed: [], rest: [[`${alias}.type = ANY(?::text[])`, types]] }];
  return [...new Set(types)].map((type) => ({ indexed: [[`${alias}.type = ?`, type]], rest: [] }));
}

function othersOf({ queue, tags = [] }: JobFilter, alias: string): Condition[] {
  return [
    ...(queue === undefined ? [] : [[`${alias}.queue = ?`, queue] satisfies Condition]),
    ...(tags.length === 0 ? [] : [['j.tags @> ?::text[]', tags] satisfies Condition]),
  ];
}

function boundsOf(key: string, { from, before }: IdRange, filter: JobFilter): Condition[] {
  const first = latest(from, filter.createdFrom && idFloor(filter.createdFrom));
  const end = earliest(before, filter.createdTo && idFloor(filter.createdTo));
  return [
    ...(first === undefined ? [] : [[`${key} >= ?::uuid`, first] satisfies Condition]),
    ...(end === undefined ? [] : [[`${key} < ?::uuid`, end] satisfies Condition]),
  ];
}

/** Values are bound as their conditions are written down: PostgreSQL refuses a parameter that stands nowhere. */
function writing() {
  const parameters: unknown[] = [];
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  const written = (condition: Condition): string =>
    typeof condition === 'string' ? condition : condition[0].replace('?', bind(condition[1]));
  const where = (conditions: Condition[]): string =>
    conditions.length === 0 ? '' : `WHERE ${conditions.map(written).join(' AND ')}`;
  return { parameters, bind, where };
}

/** Ids compare as text as they do as uuid: both are lower-case hex. */
export function earliest(...bounds: (string | undefined)[]): string | undefined {
  return bounds.filter((bound) => bound !== undefined).sort()[0];
}

function latest(...bounds: (string | undefined)[]): string | undefined {
  return bounds
    .filter((bound) => bound !== undefined)
    .sort()
    .at(-1);
}
