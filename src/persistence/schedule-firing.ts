import type { DataSource, EntityManager } from 'typeorm';
import type { JobRepository } from '../jobs/job-repository.js';
import type { Fired, FirePlan, PlannedFire } from '../schedules/schedule-repository.js';
import { ScheduleEntity } from './entities/schedule.entity.js';
import { rowsOf } from './rows.js';

/** Plan: a range of schedules_due. Those that another process fires, or somebody changes, are skipped. */
const KEYS_DUE = `
SELECT tenant, name, clock_timestamp() AS now FROM schedules
WHERE next_fire_at <= now() AND type = ANY($1::text[])
ORDER BY next_fire_at LIMIT $2 FOR UPDATE SKIP LOCKED`;

/** In a statement after the lock: one that began before it would not see the job of the process that had it. */
const BUSY = `SELECT job_id FROM dispatch WHERE job_id = ANY($1::uuid[])`;

/** Plan: a lookup a time in the primary key. */
const KNOWN = `
SELECT p.place::int FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS p(tenant, schedule, at, place)
JOIN schedule_fires f ON f.tenant = p.tenant AND f.schedule = p.schedule AND f.fire_at = p.at`;

/** What came in between all the same is refused by the primary key, and everything rolled back. */
const RECORD = `
INSERT INTO schedule_fires (tenant, schedule, fire_at, job_id, skipped)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::uuid[], $5::text[])`;

const ADVANCE = `
UPDATE schedules s SET next_fire_at = a.next, last_job_id = coalesce(a.job_id, s.last_job_id)
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::uuid[]) AS a(tenant, name, next, job_id)
WHERE s.tenant = a.tenant AND s.name = a.name`;

interface Due {
  row: ScheduleEntity & { nextFireAt: Date };
  now: Date;
  busy: boolean;
}

type Planned = PlannedFire & Pick<Fired, 'tenant' | 'schedule' | 'type'>;

/** Fires due schedules, in one transaction: the lock on a schedule, its jobs, its times, and when it is due again. */
export class ScheduleFiring {
  constructor(
    private readonly database: DataSource,
    private readonly jobs: JobRepository,
  ) {}

  fire(
    { types, limit }: { types: readonly string[]; limit: number },
    plan: (due: Due) => FirePlan,
  ): Promise<{ fired: Fired[]; more: boolean }> {
    return this.database.transaction(async (manager) => {
      const due = await locked(manager, types, limit);
      if (due.length === 0) return { fired: [], more: false };

      const plans = due.map((one) => ({ ...one, ...plan(one) }));
      const planned = plans.flatMap(({ row, fires }) =>
        fires.map((fire) => ({ ...fire, tenant: row.tenant, schedule: row.name, type: row.type })),
      );
      const fired = await this.fireAll(manager, planned);
      await advance(manager, plans, fired);
      return {
        fired,
        more: due.length === limit || plans.some(({ next, now }) => next !== null && next <= now),
      };
    });
  }

  private async fireAll(manager: EntityManager, planned: readonly Planned[]): Promise<Fired[]> {
    const fires = await unknown(manager, planned);
    const drafts = fires.flatMap((fire) => ('draft' in fire ? [fire.draft] : []));
    const jobs = drafts.length > 0 ? await this.jobs.insertWithin(manager, drafts) : [];

    let next = 0;
    const fired = fires.map((fire): Fired => {
      const { tenant, schedule, type, at } = fire;
      const jobId = 'draft' in fire ? (jobs[next++]?.id ?? null) : null;
      return { tenant, schedule, type, at, jobId, skipped: 'skipped' in fire ? fire.skipped : null };
    });
    await manager.query(RECORD, [
      ...placesOf(fired),
      fired.map(({ jobId }) => jobId),
      fired.map(({ skipped }) => skipped),
    ]);
    return fired;
  }
}

async function locked(manager: EntityManager, types: readonly string[], limit: number): Promise<Due[]> {
  const keys = await rowsOf<{ tenant: string; name: string; now: Date }>(manager, KEYS_DUE, [types, limit]);
  const [first] = keys;
  if (!first) return [];

  const rows = await manager.findBy(
    ScheduleEntity,
    keys.map(({ tenant, name }) => ({ tenant, name })),
  );
  const last = rows.flatMap(({ lastJobId }) => lastJobId ?? []);
  const live = last.length > 0 ? await rowsOf<{ job_id: string }>(manager, BUSY, [last]) : [];
  const busy = new Set(live.map(({ job_id }) => job_id));
  return rows.flatMap((row) =>
    isTimed(row) ? [{ row, now: first.now, busy: row.lastJobId !== null && busy.has(row.lastJobId) }] : [],
  );
}

function isTimed(row: ScheduleEntity): row is Due['row'] {
  return row.nextFireAt !== null;
}

/** Without the times that are on record: after a clock was set back, they come again. */
async function unknown(manager: EntityManager, planned: readonly Planned[]): Promise<Planned[]> {
  if (planned.length === 0) return [];
  const known = await rowsOf<{ place: number }>(manager, KNOWN, placesOf(planned));
  const places = new Set(known.map(({ place }) => place));
  return planned.filter((_, index) => !places.has(index + 1));
}

function placesOf(fires: readonly { tenant: string; schedule: string; at: Date }[]): unknown[][] {
  return [
    fires.map(({ tenant }) => tenant),
    fires.map(({ schedule }) => schedule),
    fires.map(({ at }) => at.toISOString()),
  ];
}

async function advance(
  manager: EntityManager,
  plans: readonly (Due & FirePlan)[],
  fired: readonly Fired[],
): Promise<void> {
  const lastJob = ({ tenant, name }: ScheduleEntity): string | null =>
    fired.findLast((fire) => fire.jobId && fire.tenant === tenant && fire.schedule === name)?.jobId ?? null;
  await manager.query(ADVANCE, [
    plans.map(({ row }) => row.tenant),
    plans.map(({ row }) => row.name),
    plans.map(({ next }) => next?.toISOString() ?? null),
    plans.map(({ row }) => lastJob(row)),
  ]);
}
