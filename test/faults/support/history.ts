import type { TestPlatform } from '../../support/platform.js';

/** What a scenario's history says once all is over. Everything but `rows`, `effects`, `attempts` and `events` is to be 0. */
export interface Verdict {
  rows: number;
  attempts: number;
  effects: number;
  reaped: number;
  released: number;
  quarantined: number;
  /** A client holds a 202 for a job that has no row. */
  lost: number;
  /** Not terminal after the drain. */
  stuck: number;
  /** Runs that nothing on record accounts for. */
  doubled: number;
  /** Histories that the state machine does not allow. */
  illegal: number;
  breaches: Breach[];
}

export interface Breach {
  kind: Kind;
  rule: string;
  jobs: number;
  /** Some of them. */
  examples: string[];
}

type Kind = 'lost' | 'stuck' | 'doubled' | 'illegal';

/** Each names the jobs that break it. $1: the ids that clients hold a 202 for. */
const RULES: Record<Kind, Record<string, string>> = {
  lost: {
    'accepted, and not on record':
      'SELECT a.id AS job_id FROM accepted a LEFT JOIN jobs j ON j.id = a.id WHERE j.id IS NULL',
    'neither over nor in dispatch: nothing will ever run it': `
      SELECT j.id FROM jobs j LEFT JOIN dispatch d ON d.job_id = j.id WHERE j.status IS NULL AND d.job_id IS NULL`,
  },
  stuck: {
    'not over in time': 'SELECT job_id FROM dispatch',
  },
  doubled: {
    'completed twice in one run': `
      SELECT job_id FROM all_attempts WHERE outcome = 'completed' GROUP BY job_id, run HAVING count(*) > 1`,
    'accepted twice by one answer': 'SELECT id FROM accepted GROUP BY id HAVING count(*) > 1',
    'more effects than ended attempts and recorded interruptions': `
      SELECT e.job_id FROM per_effect e LEFT JOIN per_attempt a USING (job_id) LEFT JOIN per_event v USING (job_id)
      WHERE e.effects > coalesce(a.attempts, 0) + coalesce(v.interruptions, 0)`,
    'a fenced effect that is not there exactly once': `
      SELECT j.id FROM jobs j LEFT JOIN per_effect e ON e.job_id = j.id
      WHERE j.type = 'fenced_effects' AND j.status = 'completed' AND coalesce(e.effects, 0) <> 1`,
  },
  illegal: {
    'completed without its effect': `
      SELECT j.id FROM jobs j LEFT JOIN per_effect e ON e.job_id = j.id
      WHERE j.type LIKE '%effects' AND j.status = 'completed' AND e.job_id IS NULL`,
    'an effect without a job':
      'SELECT e.job_id FROM per_effect e LEFT JOIN jobs j ON j.id = e.job_id WHERE j.id IS NULL',
    'more runs than deliveries': `
      SELECT e.job_id FROM per_effect e JOIN jobs j ON j.id = e.job_id WHERE e.effects > j.delivery AND j.status IS NOT NULL`,
    'attempts are not numbered without a gap': `
      SELECT job_id FROM all_attempts GROUP BY job_id, run HAVING min(number) <> 1 OR max(number) <> count(*)`,
    'an attempt after the one that completed': `
      SELECT a.job_id FROM all_attempts a JOIN all_attempts b ON b.job_id = a.job_id AND (b.run, b.number) > (a.run, a.number)
      WHERE a.outcome = 'completed'`,
    'attempts_made is not what was recorded': `
      SELECT j.id FROM jobs j LEFT JOIN all_attempts a ON a.job_id = j.id AND a.run = j.run
      GROUP BY j.id, j.attempts_made HAVING count(a.job_id) <> j.attempts_made`,
    'more attempts than allowed': `
      SELECT j.id FROM jobs j JOIN all_attempts a ON a.job_id = j.id
      GROUP BY j.id, a.run, j.max_attempts HAVING count(*) > j.max_attempts`,
    'a status that its last attempt contradicts': `
      SELECT j.id FROM jobs j LEFT JOIN LATERAL (
        SELECT outcome FROM all_attempts a WHERE a.job_id = j.id AND a.run = j.run ORDER BY number DESC LIMIT 1
      ) last ON true
      WHERE (j.status = 'completed') <> (last.outcome IS NOT DISTINCT FROM 'completed')`,
    'a status that its end contradicts':
      'SELECT id FROM jobs WHERE (status IS NULL) <> (finished_at IS NULL)',
    'over, and still in dispatch': `
      SELECT j.id FROM jobs j JOIN dispatch d ON d.job_id = j.id WHERE j.status IS NOT NULL`,
    'dead letters that differ from the jobs': `
      SELECT coalesce(j.id, l.job_id) FROM jobs j FULL JOIN dead_letters l ON l.job_id = j.id
      WHERE l.status IS DISTINCT FROM nullif(j.status, 'completed')`,
    'failed as CRASHED without a record of it, or the other way round': `
      SELECT j.id FROM jobs j LEFT JOIN per_event v ON v.job_id = j.id
      WHERE (j.status = 'failed' AND j.error ->> 'code' = 'CRASHED') <> (coalesce(v.quarantined, 0) > 0)`,
    'started before it was due': `
      SELECT j.id FROM jobs j JOIN all_attempts a ON a.job_id = j.id AND a.run = 1 AND a.number = 1
      WHERE a.started_at < j.run_at AND j.run = 1`,
  },
};

const SOURCES = `
WITH accepted AS MATERIALIZED (SELECT unnest($1::uuid[]) AS id),
per_effect AS MATERIALIZED (SELECT job_id, count(*) AS effects FROM effects GROUP BY job_id),
per_attempt AS MATERIALIZED (SELECT job_id, count(*) AS attempts FROM all_attempts GROUP BY job_id),
per_event AS MATERIALIZED (
  SELECT job_id, count(*) FILTER (WHERE kind IN ('reaped', 'released', 'quarantined')) AS interruptions,
    count(*) FILTER (WHERE kind = 'quarantined') AS quarantined
  FROM job_events GROUP BY job_id
)`;

const TOTALS = `
SELECT (SELECT count(*)::int FROM jobs) AS rows, (SELECT count(*)::int FROM all_attempts) AS attempts,
  (SELECT count(*)::int FROM effects) AS effects,
  count(*) FILTER (WHERE kind = 'reaped')::int AS reaped,
  count(*) FILTER (WHERE kind = 'released')::int AS released,
  count(*) FILTER (WHERE kind = 'quarantined')::int AS quarantined
FROM job_events`;

/** The table of the effects, which the test's own job types write. */
export const EFFECTS_TABLE = `
CREATE TABLE effects (
  job_id uuid NOT NULL,
  run int NOT NULL,
  attempt int NOT NULL,
  worker text NOT NULL,
  mark uuid NOT NULL UNIQUE,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON effects (job_id)`;

/** Reads the whole history of an installation. @param accepted ids that clients hold a 202 for */
export async function verdictOf(
  platform: Pick<TestPlatform, 'sql'>,
  accepted: readonly string[],
): Promise<Verdict> {
  const rules = Object.entries(RULES).flatMap(([kind, named]) =>
    Object.entries(named).map(([rule, sql]) => ({ kind: kind as Kind, rule, sql })),
  );
  const parts = rules.map(({ sql }, n) => `SELECT ${n} AS n, broken.* FROM (${sql}) AS broken(job_id)`);
  const found = await platform.sql<{ n: number; jobs: number; examples: string[] }>(
    `${SOURCES}
     SELECT n, count(DISTINCT job_id)::int AS jobs, (array_agg(DISTINCT job_id::text))[1:5] AS examples
     FROM (${parts.join(' UNION ALL ')}) AS all_broken GROUP BY n ORDER BY n`,
    [accepted],
  );
  const [totals] =
    await platform.sql<
      Pick<Verdict, 'rows' | 'attempts' | 'effects' | 'reaped' | 'released' | 'quarantined'>
    >(TOTALS);
  if (!totals) throw new Error('no totals');

  const breaches = found.map(({ n, jobs, examples }) => {
    const { kind, rule } = rules[n] ?? { kind: 'illegal', rule: '?' };
    return { kind, rule, jobs, examples } satisfies Breach;
  });
  const sum = (kind: Kind) => breaches.reduce((all, each) => all + (each.kind === kind ? each.jobs : 0), 0);
  return {
    ...totals,
    lost: sum('lost'),
    stuck: sum('stuck'),
    doubled: sum('doubled'),
    illegal: sum('illegal'),
    breaches,
  };
}
