import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AppConfig } from '../config/app-config.js';
import { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { Repeater } from '../jobs/delivery/repeater.js';
import { reasonOf } from './database-error.js';
import { indexEnds } from './day-ends.js';
import { DayRemoval } from './day-removal.js';
import { daysDue, giveBackDay, holdDay, markSwept, restingDays } from './old-days.js';
import {
  agesInForce,
  FOR_EVER,
  saveRules,
  statusAges,
  type Ages,
  type StatusAges,
} from './retention-ages.js';

const INTERVAL = 600_000;

/** Few, and never asked for by time: a pass over the table is no loss. */
const REMOVE_OPERATIONS = `
DELETE FROM operations WHERE status = 'completed' AND finished_at < now() - $1 * interval '1 ms'`;

/**
 * Removes finished jobs that are older than they are kept for, a day of them at a time. A job that is not over is never
 * touched. Every process looks; a day is swept by one of them.
 */
@Injectable()
export class OldJobs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Retention');
  readonly #passes = new Repeater(() => this.removeQuietly(), INTERVAL);
  readonly #ages: StatusAges;
  readonly #days: DayRemoval;
  readonly #operationsAge: number;
  readonly #stop = new AbortController();
  /** Days that it came to nothing for. */
  readonly #unindexed = new Set<string>();

  constructor(
    private readonly database: DataSource,
    private readonly types: JobTypeRegistry,
    { retention }: AppConfig,
  ) {
    this.#ages = statusAges(retention);
    this.#operationsAge = statusAges({ days: retention.days, statusDays: {} }).completed;
    this.#days = new DayRemoval(database, this.#ages, () => this.#stopping);
  }

  async onApplicationBootstrap(): Promise<void> {
    await saveRules(this.database, this.types.all());
    this.#passes.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#passes.stop();
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** One pass. Exposed for tests. @returns how many jobs are gone */
  async remove(): Promise<number> {
    const inForce = await agesInForce(this.database, this.#ages);
    let removed = 0;
    for (const { name } of await daysDue(this.database, inForce))
      removed += await this.holding(name, () => this.sweep(name, inForce));
    if (this.#operationsAge < FOR_EVER) await this.database.query(REMOVE_OPERATIONS, [this.#operationsAge]);
    await this.indexOne(inForce);
    return removed;
  }

  /** @returns 0 where another process has the day, or this one ends */
  private async holding(name: string, work: () => Promise<number>): Promise<number> {
    if (this.#stopping || !(await holdDay(this.database, name))) return 0;
    try {
      return await work();
    } finally {
      await giveBackDay(this.database, name);
    }
  }

  /** One a pass. A day that could not be is left to others, or read when its time has come. */
  private async indexOne(inForce: Ages): Promise<void> {
    for (const name of await restingDays(this.database, inForce)) {
      if (this.#unindexed.has(name)) continue;
      if (await this.holding(name, () => this.index(name))) return;
    }
  }

  /** @returns 1 where the pass has done its part */
  private async index(name: string): Promise<number> {
    const start = performance.now();
    try {
      if (!(await indexEnds(this.database, name, this.#stop.signal))) return 0;
      this.#logger.debug('indexed', { day: name, durationMs: Math.round(performance.now() - start) });
    } catch (error) {
      if (this.#stopping) return 1;
      this.#unindexed.add(name);
      this.#logger.warn('not indexed', { day: name, reason: reasonOf(error) });
    }
    return 1;
  }

  private async sweep(name: string, inForce: Ages): Promise<number> {
    // Another process may have swept it before it was held here.
    const day = (await daysDue(this.database, inForce)).find((due) => due.name === name);
    if (!day) return 0;

    const start = performance.now();
    const { removed, moved, dropped, left } = await this.#days.sweep(day);
    if (this.#stopping && !dropped) return removed;
    await markSwept(this.database, day, inForce.rules, left);
    const durationMs = Math.round(performance.now() - start);
    if (removed > 0 || dropped) this.#logger.log('swept', { day: name, removed, moved, dropped, durationMs });
    return removed;
  }

  private async removeQuietly(): Promise<void> {
    try {
      await this.remove();
    } catch (error) {
      this.#logger.warn('old jobs not removed', { reason: reasonOf(error) });
    }
  }
}
