import type { DataSource } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import type { JobTypeDefinition } from '../job-types/job-type-definition.js';
import type { TerminalStatus } from '../jobs/job.js';
import { rowsOf } from './rows.js';

const DAY = 86_400_000;

/** Stands for "never": no job is a century old. In ms. */
export const FOR_EVER = 36_525 * DAY;

/** How long finished jobs are kept where their type says nothing, in ms. */
export type StatusAges = Readonly<Record<TerminalStatus, number>>;

export function statusAges({ days, statusDays }: AppConfig['retention']): StatusAges {
  const ageOf = (status: TerminalStatus): number => (statusDays[status] ?? days) * DAY || FOR_EVER;
  return { completed: ageOf('completed'), failed: ageOf('failed'), cancelled: ageOf('cancelled') };
}

/** The rule of a job's type and status, as `r`. */
export const RULE = 'LEFT JOIN retention_rules r ON r.type = j.type AND r.status = j.status';

/** $1 to $3: `parametersOf`. */
export const AGE = `coalesce(r.age_ms, CASE j.status
  WHEN 'completed' THEN $1::bigint WHEN 'failed' THEN $2::bigint ELSE $3::bigint END)`;

/** Null for a job that is not over. */
export const EXPIRED = `j.finished_at < now() - ${AGE} * interval '1 ms'`;

export function parametersOf({ completed, failed, cancelled }: StatusAges): number[] {
  return [completed, failed, cancelled];
}

/** Rows are taken in one order, so that two processes cannot deadlock. */
const SAVE = `
WITH stated AS (SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[]) AS s(type, status, age_ms)),
gone AS (
  DELETE FROM retention_rules r WHERE r.type = ANY($1::text[])
    AND NOT EXISTS (SELECT FROM stated s WHERE s.type = r.type AND s.status = r.status)
)
INSERT INTO retention_rules (type, status, age_ms) SELECT * FROM stated ORDER BY type, status
ON CONFLICT (type, status) DO UPDATE SET age_ms = excluded.age_ms WHERE retention_rules.age_ms <> excluded.age_ms`;

/** Puts on record what the types of this process say. What types say that it does not know stays as it is. */
export async function saveRules(database: DataSource, types: readonly JobTypeDefinition[]): Promise<void> {
  const rules = types.flatMap(({ name, retention }) =>
    Object.entries(retention).map(([status, age]) => ({ name, status, age })),
  );
  await database.query(SAVE, [
    types.map(({ name }) => name),
    rules.map(({ name }) => name),
    rules.map(({ status }) => status),
    rules.map(({ age }) => age),
  ]);
}

/** Every age after which something goes, in ms, ascending; and what tells these rules from others. */
export interface Ages {
  ages: readonly number[];
  rules: string;
}

export async function agesInForce(database: Pick<DataSource, 'query'>, byStatus: StatusAges): Promise<Ages> {
  const stated = await rowsOf<{ type: string; status: string; age: number }>(
    database,
    'SELECT type, status, age_ms::float8 AS age FROM retention_rules ORDER BY type, status',
  );
  const all = [...parametersOf(byStatus), ...stated.map(({ age }) => age)];
  const ages = [...new Set(all.filter((age) => age < FOR_EVER))].sort((a, b) => a - b);
  return { ages, rules: JSON.stringify([parametersOf(byStatus), stated.map(Object.values)]) };
}
