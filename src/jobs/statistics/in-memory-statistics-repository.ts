import { RecordUnavailable } from '../job.errors.js';
import {
  mergeStatistics,
  StatisticsRepository,
  type Activity,
  type Pace,
  type TypeStatistics,
} from './statistics-repository.js';

const MINUTE = 60_000;

/** The kept statistics' twin for tests, by a clock that stands still until a test moves it. */
export class InMemoryStatisticsRepository extends StatisticsRepository {
  private rows: { minute: number; activity: Activity }[] = [];
  private now = Date.UTC(2026, 0, 1);
  private down = false;

  advance(ms: number): void {
    this.now += ms;
  }

  goDown(): void {
    this.down = true;
  }

  comeBack(): void {
    this.down = false;
  }

  async add(activity: readonly Activity[]): Promise<void> {
    this.answer();
    const minute = Math.floor(this.now / MINUTE) * MINUTE;
    this.rows.push(...activity.map((each) => ({ minute, activity: structuredClone(each) })));
  }

  async read(tenant: string, minutes: number): Promise<{ seconds: number; types: TypeStatistics[] }> {
    this.answer();
    const types = new Map<string, TypeStatistics>();
    for (const { tenant: whose, ...activity } of this.since(minutes)) {
      if (whose !== tenant) continue;
      const place = JSON.stringify([activity.queue, activity.type]);
      const known = types.get(place);
      if (known) mergeStatistics(known, activity);
      else types.set(place, structuredClone(activity));
    }
    return {
      seconds: (this.now - this.floor(minutes)) / 1_000,
      types: [...types.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, statistics]) => statistics),
    };
  }

  async pace(queue: string, minutes: number): Promise<Pace> {
    this.answer();
    const here = this.since(minutes).filter((activity) => activity.queue === queue);
    return {
      deliveries: here.reduce((sum, { deliveries }) => sum + deliveries, 0),
      slotMs: here.reduce((sum, { slotMs }) => sum + slotMs, 0),
    };
  }

  async prune(minutes: number): Promise<number> {
    this.answer();
    const kept = this.rows.filter(({ minute }) => minute >= this.floor(minutes));
    const gone = this.rows.length - kept.length;
    this.rows = kept;
    return gone;
  }

  private since(minutes: number): Activity[] {
    return this.rows.filter(({ minute }) => minute >= this.floor(minutes)).map(({ activity }) => activity);
  }

  private floor(minutes: number): number {
    return (Math.floor(this.now / MINUTE) - minutes) * MINUTE;
  }

  /** @throws RecordUnavailable */
  private answer(): void {
    if (this.down) throw new RecordUnavailable(new Error('it is down'));
  }
}
