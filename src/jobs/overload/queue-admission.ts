import { Injectable } from '@nestjs/common';
import { AppConfig } from '../../config/app-config.js';
import { QueueFull } from '../job.errors.js';
import { JobRepository, type LiveCounts } from '../job-repository.js';
import type { JobDraft } from '../job.js';
import { StatisticsRepository } from '../statistics/statistics-repository.js';
import { exceeds, retryAfter } from './queue-limits.js';
import { Refusals } from './refusals.js';

/** ms between two counts of a tenant's queues; where a count takes long, ten times as long as it takes. */
const INTERVAL = 500;
const SHARE = 10;
/** An older count (ms) says nothing any more. */
const TRUSTED = 5_000;
/** For the first count, or one in place of what is not trusted any more, a submit waits so long (ms). */
const PATIENCE = 500;

interface FullQueue extends LiveCounts {
  retryAfter: number;
}

interface Sample {
  at: number;
  /** ms that it took */
  took: number;
  full: ReadonlyMap<string, FullQueue>;
}

const NONE: Sample['full'] = new Map();

/**
 * Refuses work for queues that hold too much. One count for all submits of a process, about every half second: so up to
 * as much as comes in that time goes beyond a limit. Where nothing is known, as while PostgreSQL does not answer, all is
 * admitted: the record itself then takes it or does not.
 */
@Injectable()
export class QueueAdmission {
  readonly #samples = new Map<string, Sample>();
  readonly #counting = new Map<string, Promise<void>>();
  readonly #refusals = new Refusals('queue full');

  constructor(
    private readonly jobs: JobRepository,
    private readonly statistics: StatisticsRepository,
    private readonly config: AppConfig,
  ) {}

  get refused(): number {
    return this.#refusals.count;
  }

  /**
   * @param drafts all of one tenant
   * @throws QueueFull where one of their queues is past a limit
   */
  async admit(drafts: readonly JobDraft[]): Promise<void> {
    const { maxDepth, maxAge } = this.config.submit;
    const [first] = drafts;
    if (!first || (maxDepth === 0 && maxAge === 0)) return;

    const full = await this.fullQueues(first.tenant);
    const hit = drafts.find(({ queue }) => full.has(queue));
    const counts = hit && full.get(hit.queue);
    if (!counts) return;

    const { queue, waiting, oldestWaiting } = counts;
    this.#refusals.add({ queue, waiting, oldestWaiting, retryAfter: counts.retryAfter });
    throw new QueueFull({
      ...{ queue, depth: waiting, oldestWaiting: oldestWaiting ?? 0, maxDepth, maxAge },
      retryAfter: counts.retryAfter,
    });
  }

  private async fullQueues(tenant: string): Promise<Sample['full']> {
    const known = this.#samples.get(tenant);
    const age = known ? performance.now() - known.at : Infinity;
    if (known && age < Math.max(INTERVAL, SHARE * known.took)) return known.full;

    const counting = this.count(tenant);
    if (known && age < Math.max(TRUSTED, 2 * SHARE * known.took)) return known.full;

    let timer: NodeJS.Timeout | undefined;
    await Promise.race([counting, new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE)))]);
    clearTimeout(timer);
    const fresh = this.#samples.get(tenant);
    return fresh === known ? NONE : (fresh?.full ?? NONE);
  }

  /** Once at a time. Never rejects. */
  private count(tenant: string): Promise<void> {
    const under = this.#counting.get(tenant);
    if (under) return under;

    const started = performance.now();
    const counting = this.sample(tenant)
      .then((full) => {
        const now = performance.now();
        this.#samples.set(tenant, { at: now, took: now - started, full });
      })
      .catch(() => this.forget(tenant))
      .finally(() => this.#counting.delete(tenant));
    this.#counting.set(tenant, counting);
    return counting;
  }

  /** What was known stays until it is too old; where that is so, the next try comes after the interval. */
  private forget(tenant: string): void {
    const known = this.#samples.get(tenant);
    const now = performance.now();
    if (!known || now - known.at >= TRUSTED) this.#samples.set(tenant, { at: now, took: 0, full: NONE });
  }

  private async sample(tenant: string): Promise<Sample['full']> {
    const over = (await this.jobs.countLive(tenant)).filter((counts) => exceeds(counts, this.config.submit));
    if (over.length === 0) return NONE;

    const { seconds, types } = await this.statistics.read(tenant, 1);
    return new Map(
      over.map((counts) => {
        const ended = types
          .filter(({ queue }) => queue === counts.queue)
          .reduce((sum, { completed, failed }) => sum + completed + failed, 0);
        const wait = retryAfter(counts.waiting, this.config.submit, ended / seconds);
        return [counts.queue, { ...counts, retryAfter: wait }];
      }),
    );
  }
}
