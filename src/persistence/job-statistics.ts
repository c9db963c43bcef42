import type { DataSource } from 'typeorm';
import { DRIFT, type DriftCounts } from '../jobs/delivery/drift.js';
import type { LiveCounts } from '../jobs/job-repository.js';
import { rowsOf } from './rows.js';

/** Plan: one pass over \`dispatch\`, which holds live jobs alone. */
const LIVE = `
SELECT queue,
  (count(*) FILTER (WHERE token IS NULL AND run_at <= now()))::int AS waiting,
  (count(*) FILTER (WHERE token IS NULL AND run_at > now()))::int AS delayed,
  (count(*) FILTER (WHERE token IS NOT NULL))::int AS active,
  (count(*) FILTER (WHERE pushed_at IS NULL AND run_at <= now()))::int AS unpushed,
  (extract(epoch FROM now() - min(run_at) FILTER (WHERE token IS NULL AND run_at <= now())) * 1000)::float8
    AS "oldestWaiting"
FROM dispatch WHERE tenant = $1 GROUP BY queue ORDER BY queue`;

const ADD_DRIFT = `
INSERT INTO drift (kind, count) SELECT kind, count FROM unnest($1::text[], $2::bigint[]) AS d(kind, count) ORDER BY kind
ON CONFLICT (kind) DO UPDATE SET count = drift.count + excluded.count`;

/** What is counted over all jobs. */
export class JobStatistics {
  constructor(private readonly database: DataSource) {}

  live(tenant: string): Promise<LiveCounts[]> {
    return rowsOf<LiveCounts>(this.database, LIVE, [tenant]);
  }

  async drift(): Promise<DriftCounts> {
    const rows = await rowsOf<{ kind: string; count: string }>(
      this.database,
      'SELECT kind, count FROM drift',
    );
    const counts = new Map(rows.map(({ kind, count }) => [kind, Number(count)]));
    return Object.fromEntries(DRIFT.map((kind) => [kind, counts.get(kind) ?? 0])) as DriftCounts;
  }

  async addDrift(counts: Partial<DriftCounts>): Promise<void> {
    const kinds = Object.keys(counts);
    await this.database.query(ADD_DRIFT, [kinds, Object.values(counts)]);
  }
}
