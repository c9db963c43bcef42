import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { JobHandlers, type AnyJobHandler } from '../../job-types/job-handlers.js';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { SandboxedHandler } from '../../job-types/sandbox.js';
import { Drift } from '../delivery/drift.js';
import type { Delivery } from '../job-queue.js';
import { JobRepository, type Claim } from '../job-repository.js';
import { AttemptEnd, type RunJobOutcome } from '../running/attempt-end.js';
import { AttemptJournal, type AttemptWatch } from '../running/attempt-journal.js';
import {
  outcomeOfError,
  outcomeOfResult,
  outcomeOfTimeout,
  type AttemptOutcome,
} from '../running/attempt-outcome.js';
import type { AttemptRoom } from '../running/attempt-room.js';
import { ClaimCheck } from '../running/claim-check.js';
import { DeferredClaims } from '../running/deferred-claims.js';
import { QuickTypes } from '../running/quick-types.js';
import { RunningJobs, type RunningJob } from '../running/running-jobs.js';
import { Solitude } from '../running/solitude.js';
import { JobActivity } from '../statistics/job-activity.js';
import { WorkerIdentity } from '../worker-identity.js';

export interface RunJobInput extends Delivery {
  /** Nobody was given this delivery before: it may start before its claim is on record. */
  firstTaken?: boolean;
  watch?: AttemptWatch;
  /**
   * Told when the handler has ended, and its outcome is about to be written. Not where it writes an effect of its own.
   * @returns whether the next delivery may take this one's place
   */
  onRan?: () => boolean;
  /**
   * Takes its place, for a delivery that was taken ahead of it.
   * @returns false: none came free in time, and the delivery is to be handed back
   */
  enter?: () => boolean | Promise<boolean>;
}

export type { RunJobOutcome };

/** A job of a type that nobody here knows is offered again after so long (ms): sooner at first, as in a rolling deploy. */
const UNKNOWN_TYPE_DELAY = { first: 5_000, longest: 60_000 };

/** A suspect that found no moment to run alone is offered again after so long (ms), perhaps to an idle worker. */
const ALONE_AGAIN_AFTER = 15_000;

/** With so many crashes behind it a job runs alone. The first may well be a neighbour's, or the machine's. */
const SUSPECT_AFTER = 2;

/** A failure that one of these brought about is not the job's own: it burns no attempt. */
const INTERRUPTIONS = ['shutdown', 'lease lost', 'cancelled'] as const;

/** One delivery, start to end. The claim may be refused: then another worker has the job, and this one has nothing to do. */
@Injectable()
export class RunJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly types: JobTypeRegistry,
    private readonly handlers: JobHandlers,
    private readonly running: RunningJobs,
    private readonly solitude: Solitude,
    private readonly end: AttemptEnd,
    private readonly claims: ClaimCheck,
    private readonly deferred: DeferredClaims,
    private readonly quick: QuickTypes,
    private readonly worker: WorkerIdentity,
    private readonly drift: Drift,
    private readonly activity: JobActivity,
  ) {}

  execute(input: RunJobInput): Promise<RunJobOutcome> {
    return this.running.during(() => this.start(input));
  }

  /** A delivery whose claim cannot be deferred has its place first: nobody else may have the job while it waits for one. */
  private async start(input: RunJobInput): Promise<RunJobOutcome> {
    const { jobId, delivery, enter = () => true } = input;
    const deferrable = input.firstTaken === true && this.quick.names.length > 0;
    if (!deferrable && !(await enter())) return { kind: 'unanswered' };

    let arrived = deferrable ? undefined : performance.now();
    const request = { jobId, delivery, token: randomUUID(), workerId: this.worker.id, deferrable };
    const answer = await this.running.untilAnswered(() => this.jobs.claim(request));
    if (answer?.kind === 'gone') this.drift.add('phantom');
    if (answer?.kind !== 'claimed') return { kind: answer?.kind ?? 'unanswered' };

    const { claim } = answer;
    const running = this.running.start(claim, deferrable ? Infinity : arrived);
    let freed: number | undefined;
    const onRan = (): void => {
      if (input.onRan?.()) freed = performance.now();
    };
    try {
      if (deferrable) {
        if (!(await enter()))
          return claim.deferred
            ? { kind: 'unanswered' }
            : await this.end.release(running, 'no place in time');
        arrived = running.since = performance.now();
      }
      if (!running.isOnRecord && !this.quick.has(claim.type) && !(await this.deferred.make(running)))
        return await this.handBack(running);
      this.activity.started(claim);
      return await this.run(running, input.watch, onRan);
    } finally {
      this.running.end(running);
      if (arrived !== undefined) this.activity.left(claim, (freed ?? performance.now()) - arrived);
    }
  }

  private async run(
    running: RunningJob,
    watch: AttemptWatch | undefined,
    onRan: () => void,
  ): Promise<RunJobOutcome> {
    const { claim } = running;
    const handler = this.handlers.find(claim.type);
    if (!handler)
      return this.end.release(running, 'job type unknown to this worker', unknownTypeDelay(claim));

    // Before it is let in: who waits for a thread keeps no suspect waiting, and its time has not begun.
    if (!(handler instanceof SandboxedHandler))
      return this.runIn(this.roomHere(handler, claim.type), running, watch, onRan);

    const room = await handler.enter(running.signal);
    if (!room) return this.handBack(running);
    try {
      return await this.runIn(room, running, watch, onRan);
    } finally {
      room.leave();
    }
  }

  private async runIn(
    room: AttemptRoom,
    running: RunningJob,
    watch: AttemptWatch | undefined,
    onRan: () => void,
  ): Promise<RunJobOutcome> {
    const { claim } = running;
    const suspect = claim.crashes >= SUSPECT_AFTER;
    const leave = suspect
      ? await this.solitude.enterAlone(claim.jobId, running.signal)
      : (this.solitude.enterAtOnce() ?? (await this.solitude.enter(running.signal)));
    if (!leave) return this.handBack(running);

    const journal = new AttemptJournal(
      claim,
      this.jobs,
      () => this.deferred.make(running),
      () => void this.claims.lost(running),
      watch,
    );
    try {
      if (suspect && !this.solitude.isHaunted) {
        const marked = await this.running.untilAnswered(() => this.jobs.markAlone(claim));
        if (marked === false) return this.end.refused(claim);
      }
      if (running.wasStopped) return await this.handBack(running);

      const started = performance.now();
      const outcome = await this.attempt(running, room, journal);
      this.quick.ran(claim.type, performance.now() - started);
      await journal.close();
      if (outcome === 'abandoned') return await this.handBack(running);
      if (outcome.kind === 'failed' && interruptionOf(running)) return await this.handBack(running);
      if (outcome.kind !== 'effect') {
        running.hasRun = true;
        onRan();
      }
      return await this.end.settle(running, outcome, performance.now() - started);
    } finally {
      await journal.close();
      leave();
    }
  }

  /** Of an attempt that did not begin, or broke off for a reason that is not its own. */
  private handBack(running: RunningJob): Promise<RunJobOutcome> {
    const interruption = interruptionOf(running);
    if (interruption === 'cancelled') return Promise.resolve(this.end.cancelled(running.claim));
    return interruption
      ? this.end.release(running, interruption)
      : this.end.release(running, 'no moment to run alone', ALONE_AGAIN_AFTER);
  }

  /** On this process's loop. */
  private roomHere(handler: AnyJobHandler, type: string): AttemptRoom {
    return {
      run: async (data, context) => handler.run(this.types.get(type).parse(data), context),
      leave: () => undefined,
    };
  }

  /** Races the handler against its timeout, and at shutdown against the process's patience. */
  private attempt(
    running: RunningJob,
    room: AttemptRoom,
    journal: AttemptJournal,
  ): Promise<AttemptOutcome | 'abandoned'> {
    const { timeout } = running.claim;
    return new Promise((resolve) => {
      let over = false;
      const handling = this.handle(running, room, journal);
      const leave = (outcome: AttemptOutcome | 'abandoned'): void => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        this.solitude.leaveBehind(handling);
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        running.abort('timeout');
        leave(outcomeOfTimeout(timeout));
      }, timeout);
      running.onAbandoned(() => leave('abandoned'));
      void handling.then((outcome) => {
        over = true;
        clearTimeout(timer);
        resolve(outcome);
      });
    });
  }

  private async handle(
    running: RunningJob,
    room: AttemptRoom,
    journal: AttemptJournal,
  ): Promise<AttemptOutcome> {
    const { claim } = running;
    const { jobId, tenant, run, attempt, attempts } = claim;
    try {
      const result = await room.run(claim.data, {
        jobId,
        tenant,
        run,
        attempt,
        attempts,
        get signal() {
          return running.signal;
        },
        progress: (percent, step) => journal.progress(percent, step),
        log: (line) => journal.log(line),
      });
      return journal.breach ? outcomeOfError(journal.breach) : outcomeOfResult(result);
    } catch (error) {
      return outcomeOfError(journal.breach ?? error);
    }
  }
}

function interruptionOf(running: RunningJob): (typeof INTERRUPTIONS)[number] | undefined {
  return INTERRUPTIONS.find((cause) => running.wasStoppedBy(cause));
}

function unknownTypeDelay({ delivery }: Claim): number {
  const { first, longest } = UNKNOWN_TYPE_DELAY;
  return Math.min(longest, first * 2 ** Math.min(delivery - 1, 10));
}
