import type { AttemptReport, Claim, ClaimAnswer, ClaimRequest, DueDelivery } from './job-repository.js';
import type { JobFilter, Reaped, Settlement } from './job-repository.js';
import { assertMove, type Job, type JobAttempt, type JobDraft, type JobError } from './job.js';
import type { JobLogLine, JobProgress, JobStatus, Json, Move, TerminalStatus } from './job.js';

/** A move that is not routine, as it stands on record. */
export interface JobEvent {
  kind: string;
  detail: Json;
}

/** What `dispatch` holds of a job that is not over. Times in ms, here and below. */
export interface LiveRow {
  delivery: number;
  runAt: number;
  pushedAt: number | null;
  claim: { token: string; workerId: string; at: number; alone: boolean } | null;
  crashes: number;
  soloCrashes: number;
  progress: JobProgress | null;
}

/** What of a job changes when it settles. */
interface Settled {
  outcome: TerminalStatus | null;
  result: Json;
  error: JobError | null;
  progress: JobProgress | null;
  enqueuedAt: number | null;
  startedAt: number | null;
  finishedAt: number | null;
}

const UNSETTLED: Settled = {
  outcome: null,
  result: null,
  error: null,
  progress: null,
  enqueuedAt: null,
  startedAt: null,
  finishedAt: null,
};

/** ms; what would expire so soon is claimed before it starts. */
const EXPIRES_SOON = 1_000;

/** Data beyond this length is not given to those who only show it. */
const LARGEST_SHOWN = 2_000;

/** One job in the twin: its row in `jobs`, the one in `dispatch` while it is not over, and its history. */
export class JobRecord {
  readonly attempts: (JobAttempt & { token: string })[] = [];
  readonly logs: JobLogLine[] = [];
  readonly events: JobEvent[] = [];
  live?: LiveRow;

  private settled = UNSETTLED;
  private run = 1;
  private attemptsMade = 0;
  private delivery = 1;
  private runAt: number;
  private json: string;
  private expiresAt: number | null;

  constructor(
    readonly id: string,
    readonly shard: number,
    private readonly draft: JobDraft,
    private readonly createdAt: number,
  ) {
    this.runAt = draft.runAt?.getTime() ?? createdAt + (draft.delay ?? 0);
    this.json = draft.json;
    this.expiresAt = draft.expiresAt?.getTime() ?? null;
    this.live = newLiveRow(1, this.runAt);
  }

  get queue(): string {
    return this.draft.queue;
  }

  get priority(): number {
    return this.draft.options.priority;
  }

  get dedupeKey(): string | undefined {
    return this.draft.dedupeKey;
  }

  isOf(tenant: string): boolean {
    return this.draft.tenant === tenant;
  }

  isHeldBy(token: string): boolean {
    return this.live?.claim?.token === token;
  }

  /** A first delivery that was committed, and due, less than `ms` ago. */
  isFresh(ms: number, now: number): boolean {
    const since = now - ms;
    return this.live?.delivery === 1 && this.live.runAt >= since && this.createdAt >= since;
  }

  isExpired(now: number): boolean {
    return this.expiresAt !== null && this.expiresAt <= now;
  }

  /** A live state is not stored: it follows from the live row and the clock. */
  status(now: number): JobStatus {
    if (!this.live) return this.settled.outcome ?? 'failed';
    if (this.live.claim) return 'active';
    return this.live.runAt > now ? 'delayed' : 'waiting';
  }

  matches({ types, statuses, queue, tags, createdFrom, createdTo }: JobFilter, now: number): boolean {
    return (
      (!types?.length || types.includes(this.draft.type)) &&
      (!statuses?.length || statuses.includes(this.status(now))) &&
      (queue === undefined || queue === this.queue) &&
      (tags ?? []).every((tag) => this.draft.tags?.includes(tag)) &&
      (!createdFrom || this.createdAt >= createdFrom.getTime()) &&
      (!createdTo || this.createdAt < createdTo.getTime())
    );
  }

  claim(
    { token, workerId, delivery, started, deferrable }: ClaimRequest,
    now: number,
    paused: boolean,
  ): ClaimAnswer {
    const { live } = this;
    if (live?.claim?.token === token) return { kind: 'claimed', claim: this.toClaim(live, token) };
    if (!live || live.claim || live.delivery !== delivery) return { kind: 'gone' };
    if (!started && (live.runAt > now || paused || this.isExpired(now))) {
      takeBack(live);
      return { kind: 'held' };
    }
    this.assertMove('claim', now);
    if (deferrable && live.crashes === 0 && !this.isExpired(now + EXPIRES_SOON)) {
      const claim = { ...this.toClaim(live, token), waited: now - live.runAt };
      return { kind: 'claimed', claim: { ...claim, deferred: true } };
    }
    live.claim = { token, workerId, at: now, alone: false };
    live.pushedAt ??= now;
    return { kind: 'claimed', claim: this.toClaim(live, token) };
  }

  /** @param workerName what the attempt is recorded under */
  settle(settlement: Settlement, now: number, workerName: (id: string) => string): boolean {
    const { token, outcome, start } = settlement;
    const { live } = this;
    if (start && live && !live.claim && live.delivery === start.delivery) {
      const at = now - start.ran;
      live.claim = { token, workerId: start.workerId, at, alone: false };
      live.pushedAt ??= at;
    }
    if (live?.claim?.token !== token) return this.attempts.some((attempt) => attempt.token === token);

    const [result, error, retryIn] =
      settlement.outcome === 'completed'
        ? [settlement.result, null, undefined]
        : [null, settlement.error, settlement.retryIn];
    this.assertMove(retryIn !== undefined ? 'back_off' : outcome === 'failed' ? 'fail' : 'complete', now);

    const { at, workerId } = live.claim;
    this.attempts.push({
      ...{ token, run: this.run, number: ++this.attemptsMade, worker: workerName(workerId) },
      ...{ startedAt: new Date(at), finishedAt: new Date(now), outcome, error: copy(error) },
    });
    this.finish(live, retryIn === undefined ? { outcome, finishedAt: now } : {});
    this.settled = { ...this.settled, result: copy(result), error: copy(error) };
    if (retryIn === undefined) this.live = undefined;
    else Object.assign(takeBack(live), { runAt: now + retryIn });
    return true;
  }

  /** Of the attempt that completed under this token. */
  resultOf(token: string): { result: Json } | undefined {
    const settled = this.attempts.some(
      (attempt) => attempt.token === token && attempt.outcome === 'completed',
    );
    return settled ? { result: copy(this.settled.result) } : undefined;
  }

  report({ run, attempt, progress, lines }: AttemptReport, seqOf: () => number): void {
    if (progress && this.live) this.live.progress = { ...progress };
    for (const { at, line } of lines) this.logs.push({ seq: seqOf(), run, attempt, at, line });
  }

  release(reason: string, delay: number, now: number): void {
    if (!this.live) return;
    this.assertMove('release', now);
    takeBack(this.live);
    if (delay > 0) this.live.runAt = now + delay;
    this.events.push({ kind: 'released', detail: { reason } });
  }

  /** After its worker has died. */
  reap(live: LiveRow, workerId: string, crashLimit: number, now: number): Reaped {
    const crashes = ++live.crashes;
    if (live.claim?.alone) live.soloCrashes++;
    const quarantined = live.soloCrashes >= crashLimit;
    this.assertMove(quarantined ? 'quarantine' : 'reap', now);

    if (quarantined) {
      const message = `The process that ran this job died ${crashes} times, the last ${crashLimit} with this job alone in it.`;
      this.finish(live, { outcome: 'failed', finishedAt: now, error: { code: 'CRASHED', message } });
      this.live = undefined;
    } else {
      takeBack(live);
    }
    this.events.push({ kind: quarantined ? 'quarantined' : 'reaped', detail: { worker: workerId, crashes } });
    return { jobId: this.id, workerId, crashes, quarantined };
  }

  /** @throws IllegalTransition */
  cancel(now: number): void {
    this.assertMove('cancel', now);
    const { live, settled } = this;
    if (!live) return;
    this.events.push({
      kind: 'cancelled',
      detail: { from: this.status(now), worker: live.claim?.workerId ?? null },
    });
    this.finish(live, { outcome: 'cancelled', finishedAt: now, error: settled.error });
    this.settled.enqueuedAt ??= settled.enqueuedAt;
    this.settled.startedAt ??= settled.startedAt;
    this.live = undefined;
  }

  expire(live: LiveRow, now: number): void {
    this.assertMove('expire', now);
    const { settled, attemptsMade } = this;
    const message = `${attemptsMade === 0 ? 'It' : 'Its next attempt'} did not start before it expired.`;
    this.finish(live, { outcome: 'failed', finishedAt: now, error: { code: 'EXPIRED', message } });
    this.settled.enqueuedAt ??= settled.enqueuedAt;
    this.settled.startedAt ??= settled.startedAt;
    this.live = undefined;
    this.events.push({ kind: 'expired', detail: null });
  }

  /** @throws IllegalTransition */
  runNow(now: number): void {
    this.assertMove('run_now', now);
    if (this.live) this.live.runAt = this.runAt = now;
    this.events.push({ kind: 'run now', detail: null });
  }

  /** @throws IllegalTransition */
  retry(now: number, json?: string): void {
    this.assertMove('retry', now);
    const edited = json !== undefined;
    this.events.push({ kind: 'retried', detail: { run: ++this.run, from: this.settled.outcome, edited } });
    this.json = json ?? this.json;
    this.expiresAt = null;
    this.settled = UNSETTLED;
    this.attemptsMade = 0;
    this.runAt = now;
    this.live = newLiveRow(this.delivery + 1, now);
  }

  toJob(now: number): Job {
    const { live, settled, draft } = this;
    const { tenant, type, queue, options } = draft;
    return {
      ...{ id: this.id, tenant, type, queue, shard: this.shard, status: this.status(now) },
      options: { ...options, backoff: { ...options.backoff } },
      data: this.data(),
      tags: [...(draft.tags ?? [])],
      expiresAt: dateOf(this.expiresAt),
      dedupeKey: draft.dedupeKey ?? null,
      run: this.run,
      delivery: live?.delivery ?? this.delivery,
      attemptsMade: this.attemptsMade,
      progress: copy(live?.progress ?? settled.progress),
      result: copy(settled.result),
      error: copy(settled.error),
      createdAt: new Date(this.createdAt),
      runAt: new Date(live?.runAt ?? this.runAt),
      enqueuedAt: dateOf(live?.pushedAt ?? settled.enqueuedAt),
      startedAt: dateOf(live?.claim?.at ?? settled.startedAt),
      finishedAt: dateOf(settled.finishedAt),
    };
  }

  toDue({ delivery }: LiveRow): DueDelivery {
    const { id: jobId, shard, queue, priority } = this;
    const due = { jobId, delivery, queue, shard, type: this.draft.type, priority };
    return this.json.length > LARGEST_SHOWN ? due : { ...due, data: this.data() };
  }

  private toClaim({ delivery, crashes, claim, runAt }: LiveRow, token: string): Claim {
    const { tenant, type, queue, options } = this.draft;
    const { attempts, backoff, timeout } = options;
    return {
      ...{ jobId: this.id, delivery, token, tenant, type, queue, data: this.data() },
      ...{
        run: this.run,
        attempt: this.attemptsMade + 1,
        attempts,
        backoff: { ...backoff },
        timeout,
        crashes,
        waited: (claim?.at ?? runAt) - runAt,
      },
    };
  }

  private finish(live: LiveRow, end: Partial<Settled>): void {
    const { pushedAt: enqueuedAt, claim, delivery, progress } = live;
    const startedAt = claim?.at ?? null;
    this.delivery = delivery;
    this.settled = {
      ...UNSETTLED,
      enqueuedAt,
      startedAt,
      progress: progress ?? this.settled.progress,
      ...end,
    };
  }

  /** A slip of the twin itself would show here. */
  private assertMove(move: Move, now: number): void {
    assertMove(this.id, this.status(now), move);
  }

  private data(): Json {
    return JSON.parse(this.json) as Json;
  }
}

/** Ends the delivery in hand: the next one has to be pushed. */
export function takeBack(live: LiveRow): LiveRow {
  return Object.assign(live, { claim: null, pushedAt: null, delivery: live.delivery + 1 });
}

function newLiveRow(delivery: number, runAt: number): LiveRow {
  return { delivery, runAt, pushedAt: null, claim: null, crashes: 0, soloCrashes: 0, progress: null };
}

/** By way of text, as in a json column. */
function copy<Value extends Json | JobError | JobProgress>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
