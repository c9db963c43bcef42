import type { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { RecordUnavailable } from '../jobs/job.errors.js';
import {
  type DueSchedule,
  type Fired,
  type FirePlan,
  type PlannedFire,
  ScheduleRepository,
} from './schedule-repository.js';
import { TooManySchedules } from './schedule.errors.js';
import { type Fire, MOST_SCHEDULES, type Schedule, type ScheduleDraft } from './schedule.js';
import { isSameTiming } from './timing.js';

type Row = Schedule & { lastJobId: string | null };
type DueRow = Row & { nextFireAt: Date };

/** The twin of schedules' record for tests: in this process, by a clock that stands still until a test moves it. */
export class InMemoryScheduleRepository extends ScheduleRepository {
  private readonly rows = new Map<string, Row>();
  private readonly fired = new Map<string, Fire[]>();
  private down = false;
  /** One after the other, as the locks of a database have it. */
  private turn: Promise<unknown> = Promise.resolve();

  /** @param jobs where the jobs go @param now ms since 1970 */
  constructor(
    private readonly jobs: InMemoryJobRepository,
    private now = Date.UTC(2026, 0, 1),
    private readonly most = MOST_SCHEDULES,
  ) {
    super();
  }

  /** Lets time pass, by the record's clock. */
  advance(ms: number): void {
    this.now += ms;
    this.jobs.advance(ms);
  }

  goDown(): void {
    this.down = true;
  }

  comeBack(): void {
    this.down = false;
  }

  async put(
    draft: ScheduleDraft,
    next: (now: Date) => Date | null,
  ): Promise<{ schedule: Schedule; created: boolean }> {
    await this.answer();
    const key = keyOf(draft.tenant, draft.name);
    const before = this.rows.get(key);
    const now = new Date(this.now);
    const own = [...this.rows.values()].filter(({ tenant }) => tenant === draft.tenant);
    if (!before && own.length >= this.most) throw new TooManySchedules(this.most);

    const kept = before && !draft.paused && isSameTiming(before.timing, draft.timing) && before.nextFireAt;
    const row: Row = {
      ...draft,
      nextFireAt: kept || next(now),
      createdAt: before?.createdAt ?? now,
      updatedAt: now,
      lastJobId: before?.lastJobId ?? null,
    };
    this.rows.set(key, row);
    return { schedule: toSchedule(row), created: !before };
  }

  async find(tenant: string, name: string): Promise<Schedule | undefined> {
    await this.answer();
    const row = this.rows.get(keyOf(tenant, name));
    return row && toSchedule(row);
  }

  async list(tenant: string, { limit, after = '' }: { limit: number; after?: string }): Promise<Schedule[]> {
    await this.answer();
    return [...this.rows.values()]
      .filter((row) => row.tenant === tenant && row.name > after)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, limit)
      .map(toSchedule);
  }

  async delete(tenant: string, name: string): Promise<boolean> {
    await this.answer();
    return this.rows.delete(keyOf(tenant, name));
  }

  async fires(tenant: string, name: string, limit: number): Promise<Fire[]> {
    await this.answer();
    const fires = this.fired.get(keyOf(tenant, name)) ?? [];
    return fires.toSorted((a, b) => b.at.getTime() - a.at.getTime()).slice(0, limit);
  }

  fireDue(
    page: { types: readonly string[]; limit: number },
    plan: (due: DueSchedule) => FirePlan,
  ): Promise<{ fired: Fired[]; more: boolean }> {
    const turn = this.turn.then(() => this.fireNow(page, plan));
    this.turn = turn.catch(() => undefined);
    return turn;
  }

  private async fireNow(
    { types, limit }: { types: readonly string[]; limit: number },
    plan: (due: DueSchedule) => FirePlan,
  ): Promise<{ fired: Fired[]; more: boolean }> {
    await this.answer();
    const now = new Date(this.now);
    const isDue = (row: Row): row is DueRow =>
      types.includes(row.type) && row.nextFireAt !== null && row.nextFireAt <= now;
    const due = [...this.rows.values()]
      .filter(isDue)
      .sort((a, b) => a.nextFireAt.getTime() - b.nextFireAt.getTime())
      .slice(0, limit);
    const busy = await Promise.all(due.map((row) => this.isBusy(row)));
    const plans = due.map((row, index) => plan({ ...row, now, busy: busy[index] ?? false }));

    const fired: Fired[] = [];
    for (const [index, row] of due.entries()) {
      const { fires = [], next = null } = plans[index] ?? {};
      for (const fire of fires) fired.push(...(await this.fire(row, fire)));
      Object.assign<Row, Partial<Row>>(row, { nextFireAt: next });
    }
    return { fired, more: due.length === limit || due.some((row: Row) => isDue(row)) };
  }

  private async fire(row: Row, fire: PlannedFire): Promise<Fired[]> {
    const key = keyOf(row.tenant, row.name);
    const fires = this.fired.get(key) ?? [];
    if (fires.some(({ at }) => at.getTime() === fire.at.getTime())) return [];

    const [job] = 'draft' in fire ? await this.jobs.insert([fire.draft]) : [];
    const skipped = 'skipped' in fire ? fire.skipped : null;
    const done = { at: fire.at, jobId: job?.id ?? null, skipped };
    row.lastJobId = job?.id ?? row.lastJobId;
    this.fired.set(key, [...fires, done]);
    return [{ ...done, tenant: row.tenant, schedule: row.name, type: row.type }];
  }

  private async isBusy({ tenant, lastJobId }: Row): Promise<boolean> {
    const job = lastJobId === null ? undefined : await this.jobs.find(tenant, lastJobId);
    return job !== undefined && job.finishedAt === null;
  }

  private async answer(): Promise<void> {
    await Promise.resolve();
    if (this.down) throw new RecordUnavailable(new Error('it is down'));
  }
}

function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name]);
}

function toSchedule({ lastJobId: _lastJobId, ...schedule }: Row): Schedule {
  return schedule;
}
