import type { DriftCounts } from './delivery/drift.js';
import type { Once, SubmittedJob } from './idempotency.js';
import type { Delivery, Lane } from './job-queue.js';
import type {
  Backoff,
  Job,
  JobAttempt,
  JobDraft,
  JobError,
  JobLogLine,
  JobProgress,
  JobStatus,
  Json,
} from './job.js';

export interface JobFilter {
  types?: string[];
  statuses?: JobStatus[];
  queue?: string;
  /** All of them. */
  tags?: string[];
  createdFrom?: Date;
  /** Exclusive. */
  createdTo?: Date;
}

/** Keyset page: `before` is the id of the last job seen. Newest first. */
export interface PageRequest {
  limit: number;
  before?: string;
  /**
   * About how many jobs may be looked at for a filter that no index answers; without bound where nothing is said. It is
   * what keeps a page from reading the whole record.
   */
  scan?: number;
}

/** At most `limit` jobs. `next` is where the list goes on: a page may be short, even empty, and have a next one. */
export interface JobPage {
  jobs: Job[];
  next?: string;
}

/** What a worker asks for. The caller makes the token, so that the question can be repeated safely. */
export interface ClaimRequest extends Delivery {
  token: string;
  workerId: string;
  /** The attempt has started: nothing but another's claim stands against it. Else a delivery that may not start is taken back. */
  started?: boolean;
  /** The claim may be deferred: where nothing stands against it, the attempt may start with none on record. */
  deferrable?: boolean;
}

/** The right to run one attempt, and all that is needed for it. */
export interface Claim extends Delivery {
  token: string;
  tenant: string;
  type: string;
  queue: string;
  data: Json;
  run: number;
  /** Number of this attempt within its run, 1-based. */
  attempt: number;
  attempts: number;
  backoff: Backoff;
  timeout: number;
  /** Processes that have died with this job in hand. Above 0 it must run alone. */
  crashes: number;
  /** ms from the moment it was due to the claim. */
  waited: number;
  /**
   * Nothing of it is on record. Its delivery, while it is current and nobody has claimed it, is the fence of its settlement
   * alone: whatever else the attempt writes needs the claim, and so does an attempt that goes on.
   */
  deferred?: boolean;
}

/** A claim as far as its fence needs it. */
export type HeldClaim = Pick<Claim, 'jobId' | 'token'>;

/**
 * claimed: run it.
 * gone: terminal, another's token, or an old delivery; acknowledge and forget.
 * held: not now (queue paused, not due yet); the record has taken the delivery back, acknowledge.
 */
export type ClaimAnswer = { kind: 'claimed'; claim: Claim } | { kind: 'gone' } | { kind: 'held' };

/** For an attempt that started with a deferred claim, and may have ended with it. `ran`: ms since its start. */
export interface DeferredStart {
  delivery: number;
  workerId: string;
  ran: number;
}

/** How an attempt ended, borne by its token. `retryIn` (ms) makes a failure a back-off. */
export type Settlement = { jobId: string; token: string; start?: DeferredStart } & (
  { outcome: 'completed'; result: Json } | { outcome: 'failed'; error: JobError; retryIn?: number }
);

export interface JobHistory {
  job: Job;
  attempts: JobAttempt[];
}

/** As much of a job as changes while somebody looks. */
export interface JobPulse extends Pick<Job, 'id' | 'status' | 'run' | 'attemptsMade' | 'progress'> {
  /** Of its latest log line; 0 where there is none. */
  lastSeq: number;
}

export type Effect = (transaction: unknown) => Promise<Json>;

/** A row that waits to be pushed. `data` is absent where it is too large to show. */
export interface DueDelivery extends Delivery, Lane {
  type: string;
  priority: number;
  data?: Json;
}

/** Where a delivery stands in the order in which its lane is relayed. `runAt` is exact, as the record writes it. */
export interface DuePosition {
  priority: number;
  runAt: string;
  jobId: string;
}

export interface Reaped {
  jobId: string;
  workerId: string;
  crashes: number;
  /** The job killed its process once too often, alone, and was failed with code CRASHED. */
  quarantined: boolean;
}

/** Live jobs of a queue. `unpushed`: due, and waiting for the relay. `oldestWaiting`: for how long, in ms. */
export interface LiveCounts {
  queue: string;
  waiting: number;
  delayed: number;
  active: number;
  unpushed: number;
  oldestWaiting: number | null;
}

export interface QueuePause {
  queue: string;
  since: Date;
}

/** What stands between a job and its start, as the record sees it. Others count whoever they belong to. */
export interface Standing {
  /** The database's clock. */
  at: Date;
  /** The queue has its current delivery. */
  pushed: boolean;
  /** Some process relays its lane. */
  relayed: boolean;
  /** Processes that have died with it in hand. */
  crashes: number;
  /** Jobs of its lane that are due and go before it. */
  ahead: number;
  /** Jobs of its lane in the hands of workers. */
  active: number;
}

/** What one attempt reports while it runs. */
export interface AttemptReport {
  jobId: string;
  token: string;
  run: number;
  attempt: number;
  progress?: JobProgress;
  lines: { at: Date; line: string }[];
}

/**
 * The record of every job: what it says is what is true.
 * Calls throw RecordUnavailable when the database does not answer.
 */
export abstract class JobRepository {
  // ── for clients ──
  /**
   * Commits all drafts or none; the jobs come back in the drafts' order. Durable once answered.
   *
   * @param once of all calls for a tenant with this key, until it expires, one makes jobs; the others are given the same
   *   answer, marked as replayed. The key is committed with the jobs: a call that fails leaves none behind.
   * @throws DuplicateJob for a draft whose dedupe key is taken, unless it is to be answered with the job that has it,
   *   which is then marked as a duplicate
   * @throws IdempotencyKeyReused where the key has another fingerprint
   * @throws IdempotencyInFlight where another call with the key takes too long to end
   */
  abstract insert(drafts: readonly JobDraft[], once?: Once): Promise<SubmittedJob[]>;

  /**
   * The same inside the caller's own transaction: the jobs exist if and only if it commits. Until then nobody else sees
   * them. A refusal undoes what this call has written, and leaves the transaction open.
   *
   * @param transaction the implementation's own
   * @throws DuplicateJob
   */
  abstract insertWithin(transaction: unknown, drafts: readonly JobDraft[]): Promise<SubmittedJob[]>;

  abstract find(tenant: string, id: string): Promise<Job | undefined>;

  /** A job and its attempts at one moment, oldest first. */
  abstract history(tenant: string, id: string): Promise<JobHistory | undefined>;

  /** Of whichever tenant, in no order; ids that are not on record are left out. */
  abstract pulses(ids: readonly string[]): Promise<JobPulse[]>;

  /** Oldest first, after `afterSeq`. */
  abstract logs(tenant: string, id: string, page: { afterSeq: number; limit: number }): Promise<JobLogLine[]>;

  abstract page(tenant: string, filter: JobFilter, page: PageRequest): Promise<JobPage>;

  /** The same as often as it takes: short only where no more jobs match. */
  async list(tenant: string, filter: JobFilter, { limit, before, scan }: PageRequest): Promise<Job[]> {
    const found: Job[] = [];
    let next = before;
    do {
      const page = await this.page(tenant, filter, { limit: limit - found.length, before: next, scan });
      found.push(...page.jobs);
      next = page.next;
    } while (next !== undefined && found.length < limit);
    return found;
  }

  /**
   * A new run of a job that failed or was cancelled, with a fresh budget; the old attempts stay.
   * @param json new data in place of the old, as JSON text
   * @returns undefined where there is no such job
   * @throws IllegalTransition
   * @throws DuplicateJob where another job has its dedupe key by now
   */
  abstract retry(tenant: string, id: string, json?: string): Promise<Job | undefined>;

  /**
   * Ends a job that is not over. Where an attempt runs, its token is refused from now on.
   * @returns undefined where there is no such job
   * @throws IllegalTransition
   */
  abstract cancel(tenant: string, id: string): Promise<Job | undefined>;

  /**
   * Makes a delayed job due.
   * @returns undefined where there is no such job
   * @throws IllegalTransition
   */
  abstract runNow(tenant: string, id: string): Promise<Job | undefined>;

  // ── for workers ──
  /** Idempotent by token. */
  abstract claim(request: ClaimRequest): Promise<ClaimAnswer>;

  /**
   * Idempotent by token. False: the token is not current (nor, where the claim was deferred, the delivery without one), and
   * nothing was written.
   */
  abstract settle(settlement: Settlement): Promise<boolean>;

  /**
   * Completes an attempt in one transaction with an effect, whose value is the job's result. Idempotent by token: the
   * effect is applied where the token is current, and only there.
   * @param effect is given the implementation's transaction
   * @returns the result on record; undefined: the token is not current, and nothing was written
   * @throws EffectFailed with what the effect threw; nothing was written then
   */
  abstract settleWith(claim: HeldClaim, effect: Effect): Promise<{ result: Json } | undefined>;

  /** Hands a claim back, to start again no sooner than in `delay` ms: no attempt is burned, no crash counted. */
  abstract release(claim: HeldClaim, reason: string, delay?: number): Promise<boolean>;

  /** The same for all that a worker still holds; returns how many. */
  abstract releaseAll(workerId: string, reason: string): Promise<number>;

  /** Marks a suspect as running with nothing else in its process: only now a crash counts towards quarantine. */
  abstract markAlone(claim: HeldClaim): Promise<boolean>;

  /** Progress and log lines, fenced. False: the token is not current, and nothing was written. */
  abstract report(report: AttemptReport): Promise<boolean>;

  /** Claims that the record ascribes to a worker, with their age in ms. */
  abstract held(workerId: string): Promise<(HeldClaim & { age: number })[]>;

  // ── for the relay ──
  /**
   * Committed, due by the database's clock, not marked as pushed, queue not paused: by priority, due time, id.
   * What was committed a moment ago is left to the process that committed it.
   * @param after of those priorities only what comes after it
   */
  abstract due(
    lane: Lane,
    limit: number,
    after?: readonly DuePosition[],
  ): Promise<(DueDelivery & DuePosition)[]>;

  /**
   * Marks rows as pushed, `ago` ms ago, where the delivery is still current and nobody has claimed: a late mark changes
   * nothing. @returns those that were marked
   */
  abstract markPushed<Pushed extends Delivery & { ago?: number }>(
    deliveries: readonly Pushed[],
  ): Promise<Pushed[]>;

  /** Whether rows wait that a submitting process should not overtake, or the queue is paused. */
  abstract hasBacklog(lane: Lane): Promise<boolean>;

  /** Takes or renews the lease on these lanes' backlogs; returns those that this holder has for `lease` ms. */
  abstract leaseLanes(holder: string, lanes: readonly Lane[], lease: number): Promise<Lane[]>;

  /** Gives the leases back, so that another process need not wait for their end. */
  abstract returnLanes(holder: string): Promise<void>;

  /** Queues in which jobs wait to be pushed while no process has the lease on any of their lanes. */
  abstract unrelayed(): Promise<string[]>;

  // ── for the reconciler ──
  /** Pushed more than `olderThan` ms ago and not claimed, by job id after `after`. */
  abstract unclaimed(
    lane: Lane,
    page: { olderThan: number; after?: string; limit: number },
  ): Promise<DueDelivery[]>;

  /** Takes back deliveries that the queue has lost: still current and unclaimed ones get the next delivery. */
  abstract redeliver(deliveries: readonly Delivery[]): Promise<number>;

  /** Fails jobs that did not start before they expired, with code EXPIRED: at most `limit`, by their time. @returns their ids */
  abstract expire(limit: number): Promise<string[]>;

  // ── for liveness ──
  /**
   * Takes back what workers hold whose heartbeat is older than `lease` ms, and deletes their rows.
   * A job that crashed its process `crashLimit` times while it ran alone is failed with code CRASHED.
   */
  abstract reap(lease: number, crashLimit: number): Promise<Reaped[]>;

  // ── for statistics ──
  /** Live jobs a queue, by queue. Queues without any are left out. */
  abstract countLive(tenant: string): Promise<LiveCounts[]>;

  abstract drift(): Promise<DriftCounts>;

  abstract addDrift(counts: Partial<DriftCounts>): Promise<void>;

  // ── for control ──
  abstract pause(queue: string): Promise<void>;

  abstract resume(queue: string): Promise<void>;

  /** By queue. */
  abstract pauses(): Promise<QueuePause[]>;

  /**
   * Where a job stands that no worker has taken yet; undefined for any other.
   * @param most jobs before it are counted up to this
   */
  abstract standing(tenant: string, id: string, most: number): Promise<Standing | undefined>;
}
