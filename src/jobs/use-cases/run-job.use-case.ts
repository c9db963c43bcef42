import { Injectable, Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffDelay } from '../../job-types/backoff.js';
import { JobHandlers } from '../../job-types/job-handlers.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import type { JobHandlerClass } from '../../job-types/job-type.js';
import { EffectFailed, RecordUnavailable } from '../job.errors.js';
import type { Delivery } from '../job-queue.js';
import {
  JobRepository,
  type Claim,
  type ClaimRequest,
  type Effect,
  type Settlement,
} from '../job-repository.js';
import type { JobError, Json } from '../job.js';
import { AttemptJournal, type AttemptWatch } from '../running/attempt-journal.js';
import {
  outcomeOfError,
  outcomeOfResult,
  outcomeOfTimeout,
  type AttemptOutcome,
} from '../running/attempt-outcome.js';
import { RunningJobs, type RunningJob } from '../running/running-jobs.js';
import { Solitude } from '../running/solitude.js';
import { WorkerIdentity } from '../worker-identity.js';

export interface RunJobInput extends Delivery {
  watch?: AttemptWatch;
}

/**
 * completed, failed: on record; `retryIn` (ms) tells that a back-off follows.
 * gone: another worker has the job, or it is over. held: not now. released: handed back, unburned.
 * refused: the token was not current any more, and nothing was written.
 * unanswered: the process closes while the record is away; nobody knows whether the job was claimed.
 */
export type RunJobOutcome =
  | { kind: 'completed'; type: string; result: Json }
  | { kind: 'failed'; type: string; error: JobError; retryIn?: number }
  | { kind: 'gone' | 'held' | 'released' | 'refused' | 'unanswered' };

/** A job of a type that nobody here knows is offered again after so long (ms): sooner at first, as in a rolling deploy. */
const UNKNOWN_TYPE_DELAY = { first: 5_000, longest: 60_000 };

/** A suspect that found no moment to run alone is offered again after so long (ms), perhaps to an idle worker. */
const ALONE_AGAIN_AFTER = 15_000;

/** With so many crashes behind it a job runs alone. The first may well be a neighbour's, or the machine's. */
const SUSPECT_AFTER = 2;

/** A failure that one of these brought about is not the job's own: it burns no attempt. */
const INTERRUPTIONS = ['shutdown', 'lease lost'] as const;

const LONGEST_PAUSE = 2_000;

/** One delivery, start to end. The claim may be refused: then another worker has the job, and this one has nothing to do. */
@Injectable()
export class RunJobUseCase {
  readonly #logger = new Logger('Job');

  constructor(
    private readonly jobs: JobRepository,
    private readonly types: JobTypeRegistry,
    private readonly handlers: JobHandlers,
    private readonly running: RunningJobs,
    private readonly solitude: Solitude,
    private readonly worker: WorkerIdentity,
  ) {}

  execute(input: RunJobInput): Promise<RunJobOutcome> {
    return this.running.during(async () => {
      const request = { ...input, token: randomUUID(), workerId: this.worker.id };
      const answer = await this.untilAnswered(() => this.jobs.claim(request));
      if (answer?.kind !== 'claimed') return { kind: answer?.kind ?? 'unanswered' };

      const running = this.running.start(answer.claim);
      try {
        return await this.run(running, request, input.watch);
      } finally {
        this.running.end(running);
      }
    });
  }

  private async run(
    running: RunningJob,
    request: ClaimRequest,
    watch?: AttemptWatch,
  ): Promise<RunJobOutcome> {
    const { claim } = running;
    const handler = this.handlers.find(claim.type);
    if (!handler) return this.release(claim, 'job type unknown to this worker', unknownTypeDelay(claim));

    const suspect = claim.crashes >= SUSPECT_AFTER;
    const leave = suspect
      ? await this.solitude.enterAlone(claim.jobId, running.signal)
      : await this.solitude.enter(running.signal);
    if (!leave) return this.handBack(running);

    const journal = new AttemptJournal(claim, this.jobs, () => running.abort('lease lost'), watch);
    try {
      if (suspect && !this.solitude.isHaunted) {
        const marked = await this.untilAnswered(() => this.jobs.markAlone(claim));
        if (marked === false) return this.refused(claim);
      }
      if (running.signal.aborted) return await this.handBack(running);

      const started = performance.now();
      const outcome = await this.attempt(running, handler, journal);
      await journal.close();
      if (outcome === 'abandoned') return await this.release(claim, 'shutdown');
      if (outcome.kind === 'failed' && interruptionOf(running)) return await this.handBack(running);
      return await this.settle(running, request, outcome, performance.now() - started);
    } finally {
      await journal.close();
      leave();
    }
  }

  /** Of an attempt that did not begin, or broke off for a reason that is not its own. */
  private handBack(running: RunningJob): Promise<RunJobOutcome> {
    const interruption = interruptionOf(running);
    return interruption
      ? this.release(running.claim, interruption)
      : this.release(running.claim, 'no moment to run alone', ALONE_AGAIN_AFTER);
  }

  /** Races the handler against its timeout, and at shutdown against the process's patience. */
  private async attempt(
    running: RunningJob,
    handler: InstanceType<JobHandlerClass>,
    journal: AttemptJournal,
  ): Promise<AttemptOutcome | 'abandoned'> {
    const { claim } = running;
    let handled = false;
    const handling = this.handle(running, handler, journal).finally(() => (handled = true));
    let timer: NodeJS.Timeout | undefined;
    const overrun = new Promise<AttemptOutcome>((resolve) => {
      timer = setTimeout(() => {
        running.abort('timeout');
        resolve(outcomeOfTimeout(claim.timeout));
      }, claim.timeout);
    });
    try {
      return await Promise.race([handling, overrun, running.abandoned]);
    } finally {
      clearTimeout(timer);
      if (!handled) this.solitude.leaveBehind(handling);
    }
  }

  private async handle(
    { claim, signal }: RunningJob,
    handler: InstanceType<JobHandlerClass>,
    journal: AttemptJournal,
  ): Promise<AttemptOutcome> {
    const { jobId, tenant, run, attempt, attempts } = claim;
    try {
      const data = this.types.get(claim.type).parse(claim.data);
      const result = await handler.run(data, {
        jobId,
        tenant,
        run,
        attempt,
        attempts,
        signal,
        progress: (percent, step) => journal.progress(percent, step),
        log: (line) => journal.log(line),
      });
      return journal.breach ? outcomeOfError(journal.breach) : outcomeOfResult(result);
    } catch (error) {
      return outcomeOfError(journal.breach ?? error);
    }
  }

  /**
   * Repeated until the record answers. After a refusal the job is claimed again with the same token: it is granted where
   * a crash of PostgreSQL took the claim back, and only there. Settling again also finds a settlement that was under
   * way while it was repeated.
   */
  private async settle(
    running: RunningJob,
    request: ClaimRequest,
    outcome: AttemptOutcome,
    duration: number,
  ): Promise<RunJobOutcome> {
    const { claim } = running;
    if (outcome.kind === 'effect') return this.settleWith(running, request, outcome.effect, duration);

    const settlement = settlementOf(claim, outcome);
    try {
      const settled = (await this.untilAnswered(() => this.jobs.settle(settlement))) ?? false;
      if (!settled && !(await this.settleAgain(request, settlement))) return this.refused(claim);
      return this.settled(claim, settlement, duration);
    } catch (error) {
      // What passed every check and is still no value for the record would otherwise run again for ever.
      if (outcome.kind === 'failed' && outcome.error.code === NOT_STORABLE) throw error;
      this.#logger.error('outcome not storable', { ...factsOf(claim), error });
      return this.settle(running, request, notStorable(error), duration);
    }
  }

  /** As above, in one transaction with the handler's own effect. What that throws fails the attempt. */
  private async settleWith(
    running: RunningJob,
    request: ClaimRequest,
    effect: Effect,
    duration: number,
  ): Promise<RunJobOutcome> {
    const { claim } = running;
    const settle = () => this.untilAnswered(() => this.jobs.settleWith(claim, effect));
    try {
      let settled = await settle();
      if (!settled) {
        await this.untilAnswered(() => this.jobs.claim(request));
        settled = await settle();
      }
      if (!settled) return this.refused(claim);
      const { jobId, token } = claim;
      return this.settled(claim, { jobId, token, outcome: 'completed', result: settled.result }, duration);
    } catch (error) {
      const outcome = outcomeOfError(error instanceof EffectFailed ? error.cause : error);
      return this.settle(running, request, outcome, duration);
    }
  }

  private refused(claim: Claim): RunJobOutcome {
    this.#logger.warn('refused', { ...factsOf(claim), reason: 'the token is not current any more' });
    return { kind: 'refused' };
  }

  private async settleAgain(request: ClaimRequest, settlement: Settlement): Promise<boolean> {
    await this.untilAnswered(() => this.jobs.claim(request));
    return (await this.untilAnswered(() => this.jobs.settle(settlement))) === true;
  }

  private settled(claim: Claim, settlement: Settlement, duration: number): RunJobOutcome {
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

  private async release(claim: Claim, reason: string, delay?: number): Promise<RunJobOutcome> {
    await this.untilAnswered(() => this.jobs.release(claim, reason, delay));
    this.#logger.log('released', { ...factsOf(claim), reason });
    return { kind: 'released' };
  }

  /** @returns undefined only when the process is closing and cannot wait any longer: the reaper then takes over */
  private async untilAnswered<T>(call: () => Promise<T>): Promise<T | undefined> {
    for (let pause = 50; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof RecordUnavailable)) throw error;
        if (this.running.closing) return undefined;
        await sleep(pause);
      }
    }
  }
}

const NOT_STORABLE = 'OUTCOME_NOT_STORABLE';

function notStorable(reason: unknown): AttemptOutcome {
  const { name } = reason instanceof Error ? reason : new Error();
  const message = `The record refused the attempt's outcome (${name}); the worker's log tells why`;
  return { kind: 'failed', permanent: true, error: { code: NOT_STORABLE, message } };
}

function interruptionOf(running: RunningJob): (typeof INTERRUPTIONS)[number] | undefined {
  return INTERRUPTIONS.find((cause) => running.wasStoppedBy(cause));
}

function unknownTypeDelay({ delivery }: Claim): number {
  const { first, longest } = UNKNOWN_TYPE_DELAY;
  return Math.min(longest, first * 2 ** Math.min(delivery - 1, 10));
}

/** A failure is tried again while the run has attempts left, unless it is permanent. */
function settlementOf(claim: Claim, outcome: Exclude<AttemptOutcome, { kind: 'effect' }>): Settlement {
  const { jobId, token, attempt, attempts, backoff } = claim;
  if (outcome.kind === 'completed') return { jobId, token, outcome: 'completed', result: outcome.result };

  const { error, permanent } = outcome;
  if (permanent || attempt >= attempts) return { jobId, token, outcome: 'failed', error };
  return { jobId, token, outcome: 'failed', error, retryIn: backoffDelay(backoff, attempt) };
}

function factsOf({ jobId, type, run, attempt }: Claim): Pick<Claim, 'jobId' | 'type' | 'run' | 'attempt'> {
  return { jobId, type, run, attempt };
}
