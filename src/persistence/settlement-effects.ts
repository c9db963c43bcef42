import { type DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { EffectFailed } from '../jobs/job.errors.js';
import type { Effect, HeldClaim } from '../jobs/job-repository.js';
import type { Json } from '../jobs/job.js';
import { isUnavailable } from './database-error.js';
import { completeWithin } from './job-settlements.js';
import { rowsOf } from './rows.js';

const LOCK = `SELECT FROM dispatch WHERE job_id = $1 AND token = $2 FOR UPDATE`;

const SETTLED = `
SELECT j.result FROM all_attempts a JOIN jobs j ON j.id = a.job_id
WHERE a.job_id = $1 AND a.token = $2 AND a.outcome = 'completed'`;

/** Settlements that commit together with a handler's own effect, each in a transaction of its own. */
export class SettlementEffects {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** @param poolSize half of its connections at most are taken, so that all else goes on */
  constructor(
    private readonly database: DataSource,
    poolSize: number,
  ) {
    this.#free = Math.max(1, Math.floor(poolSize / 2));
  }

  async settle(claim: HeldClaim, effect: Effect): Promise<{ result: Json } | undefined> {
    await this.enter();
    try {
      return await this.database.transaction((manager) => commit(manager, claim, effect));
    } finally {
      this.leave();
    }
  }

  private async enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  private leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

/** A statement's own failure is the database's word: it may be gone. All else is the handler's. */
async function applied(effect: Effect, manager: EntityManager): Promise<Json> {
  try {
    return await effect(manager);
  } catch (error) {
    throw error instanceof QueryFailedError && isUnavailable(error) ? error : new EffectFailed(error);
  }
}

/** The row is locked first: from here to the commit nobody else can take the job. */
async function commit(
  manager: EntityManager,
  { jobId, token }: HeldClaim,
  effect: Effect,
): Promise<{ result: Json } | undefined> {
  const current = await rowsOf(manager, LOCK, [jobId, token]);
  if (current.length === 0) {
    const [settled] = await rowsOf<{ result: Json }>(manager, SETTLED, [jobId, token]);
    return settled;
  }
  const result = await applied(effect, manager);
  await completeWithin(manager, { jobId, token }, result);
  return { result };
}
