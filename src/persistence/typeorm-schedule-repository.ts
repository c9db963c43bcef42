import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, MoreThan } from 'typeorm';
import { JobRepository } from '../jobs/job-repository.js';
import type { Json } from '../jobs/job.js';
import {
  type DueSchedule,
  type Fired,
  type FirePlan,
  ScheduleRepository,
} from '../schedules/schedule-repository.js';
import { type Fire, MOST_SCHEDULES, type Schedule, type ScheduleDraft } from '../schedules/schedule.js';
import { TooManySchedules } from '../schedules/schedule.errors.js';
import { isSameTiming } from '../schedules/timing.js';
import { answering } from './database-error.js';
import { ScheduleFireEntity } from './entities/schedule-fire.entity.js';
import { ScheduleEntity } from './entities/schedule.entity.js';
import { rowsOf } from './rows.js';
import { ScheduleFiring } from './schedule-firing.js';

/** One at a time of a tenant's: then they are counted right, and none is made twice. */
const LOCK_TENANT = `SELECT pg_advisory_xact_lock(hashtextextended('schedules of ' || $1, 0))`;

/** Not by TypeORM, which takes the JSON value null for no value. */
const UPSERT = `
INSERT INTO schedules AS s (tenant, name, cron, timezone, every_ms, type, data, options, misfire, overlap, paused, next_fire_at,
  created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
ON CONFLICT (tenant, name) DO UPDATE SET cron = excluded.cron, timezone = excluded.timezone, every_ms = excluded.every_ms,
  type = excluded.type, data = excluded.data, options = excluded.options, misfire = excluded.misfire,
  overlap = excluded.overlap, paused = excluded.paused, next_fire_at = excluded.next_fire_at, updated_at = excluded.updated_at`;

/** Schedules in PostgreSQL. */
@Injectable()
export class TypeOrmScheduleRepository extends ScheduleRepository {
  readonly #firing: ScheduleFiring;
  /** One at a time: those that wait for their tenant's lock would hold all connections. */
  #lastPut: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: DataSource,
    jobs: JobRepository,
  ) {
    super();
    this.#firing = new ScheduleFiring(database, jobs);
  }

  async put(
    draft: ScheduleDraft,
    next: (now: Date) => Date | null,
  ): Promise<{ schedule: Schedule; created: boolean }> {
    const put = this.#lastPut.then(() =>
      answering(() => this.database.transaction((manager) => putIn(manager, draft, next))),
    );
    this.#lastPut = put.catch(() => undefined);
    return put;
  }

  find(tenant: string, name: string): Promise<Schedule | undefined> {
    return answering(async () => {
      const row = await this.database.getRepository(ScheduleEntity).findOneBy({ tenant, name });
      return row ? toSchedule(row) : undefined;
    });
  }

  list(tenant: string, { limit, after = '' }: { limit: number; after?: string }): Promise<Schedule[]> {
    return answering(async () => {
      const rows = await this.database.getRepository(ScheduleEntity).find({
        where: { tenant, name: MoreThan(after) },
        order: { name: 'ASC' },
        take: limit,
      });
      return rows.map(toSchedule);
    });
  }

  delete(tenant: string, name: string): Promise<boolean> {
    return answering(async () => {
      const { affected } = await this.database.getRepository(ScheduleEntity).delete({ tenant, name });
      return affected === 1;
    });
  }

  fires(tenant: string, schedule: string, limit: number): Promise<Fire[]> {
    return answering(async () => {
      const rows = await this.database.getRepository(ScheduleFireEntity).find({
        where: { tenant, schedule },
        order: { fireAt: 'DESC' },
        take: limit,
      });
      return rows.map(({ fireAt, jobId, skipped }) => ({ at: fireAt, jobId, skipped }));
    });
  }

  fireDue(
    page: { types: readonly string[]; limit: number },
    plan: (due: DueSchedule) => FirePlan,
  ): Promise<{ fired: Fired[]; more: boolean }> {
    return answering(() =>
      this.#firing.fire(page, ({ row, now, busy }) =>
        plan({ ...toSchedule(row), nextFireAt: row.nextFireAt, now, busy }),
      ),
    );
  }
}

async function putIn(
  manager: EntityManager,
  draft: ScheduleDraft,
  next: (now: Date) => Date | null,
): Promise<{ schedule: Schedule; created: boolean }> {
  const { tenant, name, timing } = draft;
  await manager.query(LOCK_TENANT, [tenant]);
  const rows = manager.getRepository(ScheduleEntity);
  // Whoever fires it is waited for: what comes next is counted from there.
  const before = await rows.findOne({ where: { tenant, name }, lock: { mode: 'pessimistic_write' } });
  if (!before && (await rows.countBy({ tenant })) >= MOST_SCHEDULES)
    throw new TooManySchedules(MOST_SCHEDULES);

  const [clock] = await rowsOf<{ now: Date }>(manager, 'SELECT clock_timestamp() AS now');
  const now = clock?.now ?? new Date();
  const kept = before && !draft.paused && isSameTiming(timingOf(before), timing) && before.nextFireAt;
  const nextFireAt = kept || next(now);
  await manager.query(UPSERT, [...valuesOf(draft), nextFireAt?.toISOString() ?? null, now]);
  return {
    schedule: { ...draft, nextFireAt, createdAt: before?.createdAt ?? now, updatedAt: now },
    created: !before,
  };
}

/** $1 to $11 of UPSERT. */
function valuesOf(draft: ScheduleDraft): unknown[] {
  const { tenant, name, timing, type, data, options, misfire, overlap, paused } = draft;
  const times = 'cron' in timing ? [timing.cron, timing.timezone, null] : [null, null, timing.every];
  return [
    tenant,
    name,
    ...times,
    type,
    JSON.stringify(data),
    JSON.stringify(options),
    misfire,
    overlap,
    paused,
  ];
}

function timingOf({ cron, timezone, everyMs }: ScheduleEntity): Schedule['timing'] {
  return cron === null ? { every: Number(everyMs) } : { cron, timezone: timezone ?? 'UTC' };
}

function toSchedule(row: ScheduleEntity): Schedule {
  return {
    tenant: row.tenant,
    name: row.name,
    timing: timingOf(row),
    type: row.type,
    data: row.data as Json,
    options: row.options,
    misfire: row.misfire,
    overlap: row.overlap,
    paused: row.paused,
    nextFireAt: row.nextFireAt,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}
