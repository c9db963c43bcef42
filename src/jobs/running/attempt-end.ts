import { Injectable, Logger } from '@nestjs/common';
import { backoffDelay } from '../../job-types/backoff.js';
import { EffectFailed } from '../job.errors.js';
import {
  JobRepository,
  type Claim,
  type DeferredStart,
  type Effect,
  type Settlement,
} from '../job-repository.js';
import type { JobError, Json } from '../job.js';
import { JobActivity } from '../statistics/job-activity.js';
import { WorkerIdentity } from '../worker-identity.js';
import { outcomeOfError, type AttemptOutcome } from './attempt-outcome.js';
import { DeferredClaims } from './deferred-claims.js';
import { type RunningJob, RunningJobs } from './running-jobs.js';

/**
 * completed, failed: on record; `retryIn` (ms) tells that a back-off follows.
 * gone: another worker has the job, or it is over. held: not now. released: handed back, unburned.
 * cancelled: the job was ended by somebody while the attempt ran.
 * refused: the token was not current any more, and nothing was written.
 * unanswered: the process closes while the record is away; nobody knows whether the job was claimed.
 */
export type RunJobOutcome =
  | { kind: 'completed'; type: string; result: Json }
  | { kind: 'failed'; type: string; error: JobError; retryIn?: number }
  | { kind: 'gone' | 'held' | 'released' | 'cancelled' | 'refused' | 'unanswered' };

type PlainOutcome = Exclude<AttemptOutcome, { kind: 'effect' }>;

/** How an attempt comes to its end on record: settled, handed back, or refused. */
@Injectable()
export class AttemptEnd {
  readonly #logger = new Logger('Job');

  constructor(
    private readonly jobs: JobRepository,
    private readonly running: RunningJobs,
    private readonly deferred: DeferredClaims,
    private readonly identity: WorkerIdentity,
    private readonly activity: JobActivity,
  ) {}

  /**
   * Repeated until the record answers. After a refusal the job is claimed again with the same token: it is granted where
   * a crash of PostgreSQL took the claim back, and only there. Settling again also finds a settlement that was under
   * way while it was repeated.
   */
  async settle(running: RunningJob, outcome: AttemptOutcome, duration: number): Promise<RunJobOutcome> {
    if (outcome.kind === 'effect') return this.settleWith(running, outcome.effect, duration);

    const { claim } = running;
    const settlement = this.settlementOf(running, outcome);
    try {
      const settled = (await this.running.untilAnswered(() => this.jobs.settle(settlement))) ?? false;
      if (!settled && !(await this.settleAgain(claim, settlement))) return this.refused(claim);
      return this.settled(claim, settlement, duration);
    } catch (error) {
      // What passed every check and is still no value for the record would otherwise run again for ever.
      if (outcome.kind === 'failed' && outcome.error.code === NOT_STORABLE) throw error;
      this.#logger.error('outcome not storable', { ...factsOf(claim), error });
      return this.settle(running, notStorable(error), duration);
    }
  }

  /** As above, in one transaction with the handler's own effect. What that throws fails the attempt. */
  private async settleWith(running: RunningJob, effect: Effect, duration: number): Promise<RunJobOutcome> {
    const { claim } = running;
    if (!(await this.deferred.make(running))) return this.refused(claim);
    const settle = () => this.running.untilAnswered(() => this.jobs.settleWith(claim, effect));
    try {
      let settled = await settle();
      if (!settled) {
        await this.claimAgain(claim);
        settled = await settle();
      }
      if (!settled) return this.refused(claim);
      const { jobId, token } = claim;
      return this.settled(claim, { jobId, token, outcome: 'completed', result: settled.result }, duration);
    } catch (error) {
      const outcome = outcomeOfError(error instanceof EffectFailed ? error.cause : error);
      return this.settle(running, outcome, duration);
    }
  }

  refused(claim: Claim): RunJobOutcome {
    this.#logger.warn('refused', { ...factsOf(claim), reason: 'the token is not current any more' });
    return { kind: 'refused' };
  }

  cancelled(claim: Claim): RunJobOutcome {
    this.#logger.log('cancelled', factsOf(claim));
    return { kind: 'cancelled' };
  }

  private async settleAgain(claim: Claim, settlement: Settlement): Promise<boolean> {
    await this.claimAgain(claim);
    return (await this.running.untilAnswered(() => this.jobs.settle(settlement))) === true;
  }

  private async claimAgain({ jobId, delivery, token }: Claim): Promise<void> {
    const request = { jobId, delivery, token, workerId: this.identity.id, started: true };
    await this.running.untilAnswered(() => this.jobs.claim(request));
  }

  /** A failure is tried again while the run has attempts left, unless it is permanent. */
  private settlementOf(running: RunningJob, outcome: PlainOutcome): Settlement {
    const { claim } = running;
    const { jobId, token, attempt, attempts, backoff } = claim;
    const start = claim.deferred ? startOf(running, this.identity.id) : undefined;
    if (outcome.kind === 'completed')
      return { jobId, token, start, outcome: 'completed', result: outcome.result };

    const { error, permanent } = outcome;
    const retryIn = permanent || attempt >= attempts ? undefined : backoffDelay(backoff, attempt);
    return { jobId, token, start, outcome: 'failed', error, retryIn };
  }

  private settled(claim: Claim, settlement: Settlement, duration: number): RunJobOutcome {
    this.activity.settled(claim, settlement, duration);
    const facts = { ...factsOf(claim), durationMs: Math.round(duration) };
    if (settlement.outcome === 'completed') {
      this.#logger.log('completed', facts);
      return { kind: 'completed', type: claim.type, result: settlement.result };
    }

    const { error, retryIn } = settlement;
    this.#logger.warn(retryIn === undefined ? 'failed' : 'retrying', {
      ...facts,
      code: error.code,
      retryInMs: retryIn,
    });
    return { kind: 'failed', type: claim.type, error, retryIn };
  }

  async release(running: RunningJob, reason: string, delay?: number): Promise<RunJobOutcome> {
    const { claim } = running;
    if (!(await this.deferred.make(running)))
      return this.running.closing ? { kind: 'unanswered' } : this.refused(claim);
    await this.running.untilAnswered(() => this.jobs.release(claim, reason, delay));
    this.#logger.log('released', { ...factsOf(claim), reason });
    return { kind: 'released' };
  }
}

const NOT_STORABLE = 'OUTCOME_NOT_STORABLE';

function notStorable(reason: unknown): AttemptOutcome {
  const { name } = reason instanceof Error ? reason : new Error();
  const message = `The record refused the attempt's outcome (${name}); the worker's log tells why`;
  return { kind: 'failed', permanent: true, error: { code: NOT_STORABLE, message } };
}

/** However late the record is told, it is told since when. */
function startOf({ claim, since }: RunningJob, workerId: string): DeferredStart {
  return {
    delivery: claim.delivery,
    workerId,
    get ran() {
      return performance.now() - since;
    },
  };
}

function factsOf({ jobId, type, run, attempt }: Claim): Pick<Claim, 'jobId' | 'type' | 'run' | 'attempt'> {
  return { jobId, type, run, attempt };
}
