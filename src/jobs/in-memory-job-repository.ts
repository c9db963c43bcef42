import { randomUUID } from 'node:crypto';
import { type JobEvent, JobRecord, type LiveRow, takeBack } from './in-memory-job-record.js';
import { DRIFT, type DriftCounts } from './delivery/drift.js';
import type { Once, SubmittedJob } from './idempotency.js';
import { DuplicateJob, EffectFailed, IdempotencyKeyReused, RecordUnavailable } from './job.errors.js';
import type { Delivery, Lane } from './job-queue.js';
import { JobRepository, type AttemptReport, type ClaimAnswer, type ClaimRequest } from './job-repository.js';
import type {
  DueDelivery,
  DuePosition,
  Effect,
  HeldClaim,
  JobFilter,
  JobHistory,
  JobPage,
  JobPulse,
  LiveCounts,
  PageRequest,
  QueuePause,
  Reaped,
  Settlement,
  Standing,
} from './job-repository.js';
import type { Job, JobDraft, JobLogLine, Json } from './job.js';
import { shardOf } from './shard.js';

/** A first delivery this young (ms) is left to the process that committed it. */
const FRESH = 500;

/** What a key stands for, until when. */
interface KnownKey {
  fingerprint: string;
  jobs: SubmittedJob[];
  until: number;
}

/** What the twin calls a transaction: what was written in it is put on record when it commits. */
class Transaction {
  readonly written: JobRecord[] = [];
  open = true;
}

/** A job that is not over, with its live row. */
type Live = [record: JobRecord, live: LiveRow];

/** The record's twin for tests: in this process, by a clock that stands still until a test moves it. */
export class InMemoryJobRepository extends JobRepository {
  private readonly records = new Map<string, JobRecord>();
  private readonly workers = new Map<string, { name: string; beatAt: number }>();
  private readonly leases = new Map<string, { lane: Lane; holder: string; until: number }>();
  private readonly paused = new Map<string, number>();
  private readonly drifted: DriftCounts = {
    lost: 0,
    repaired: 0,
    rebuilt: 0,
    phantom: 0,
    reaped: 0,
    quarantined: 0,
  };
  private readonly keys = new Map<string, KnownKey>();
  private readonly keysLast: number;
  private readonly shards: number;
  private now: number;
  private idsThisMs = 0;
  private lastSeq = 0;
  private down = false;

  /** @param options `now`: where the clock starts, in ms since 1970; `keysLast`: ms that an idempotency key is kept */
  constructor({ shards = 1, now = Date.UTC(2026, 0, 1), keysLast = 86_400_000 } = {}) {
    super();
    this.shards = shards;
    this.keysLast = keysLast;
    this.now = now;
  }

  /** From now on every call fails with RecordUnavailable. */
  goDown(): void {
    this.down = true;
  }

  comeBack(): void {
    this.down = false;
  }

  /** Takes all claims back, as a crash of PostgreSQL does with those that had not reached the disk. */
  loseClaims(): void {
    for (const [, live] of this.live()) live.claim = null;
  }

  /** Lets time pass, by the record's clock. */
  advance(ms: number): void {
    this.now += ms;
    if (ms > 0) this.idsThisMs = 0;
  }

  /** A worker's heartbeat. Its attempts bear `name`. */
  beat(workerId: string, name = 'host:1'): void {
    this.workers.set(workerId, { name, beatAt: this.now });
  }

  /** Whether the worker has a row; the reaper deletes it. */
  knowsWorker(workerId: string): boolean {
    return this.workers.has(workerId);
  }

  /** The moves of a job that were not routine, oldest first. */
  events(jobId: string): JobEvent[] {
    return this.records.get(jobId)?.events.slice() ?? [];
  }

  async insert(drafts: readonly JobDraft[], once?: Once): Promise<SubmittedJob[]> {
    await this.answer();
    if (!once || !drafts[0]) return this.insertAll(drafts);

    const place = JSON.stringify([drafts[0].tenant, once.key]);
    const known = this.keys.get(place);
    if (known && known.until > this.now) return replay(known, once);

    const jobs = this.insertAll(drafts);
    this.keys.set(place, { fingerprint: once.fingerprint, jobs, until: this.now + this.keysLast });
    return jobs;
  }

  /** Commits what `work` has inserted with the transaction that it is given, unless it throws. */
  async transaction<T>(work: (transaction: unknown) => Promise<T>): Promise<T> {
    const transaction = new Transaction();
    const result = await work(transaction).finally(() => (transaction.open = false));
    await this.answer();
    const all = [...this.records.values(), ...transaction.written].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.records.clear();
    for (const record of all) this.records.set(record.id, record);
    return result;
  }

  async insertWithin(transaction: unknown, drafts: readonly JobDraft[]): Promise<SubmittedJob[]> {
    await this.answer();
    if (!(transaction instanceof Transaction) || !transaction.open)
      throw new TypeError('manager must be an open transaction');
    const known = new Map(this.records);
    const jobs = this.insertAll(drafts);
    for (const { id, duplicate } of jobs) {
      const record = this.records.get(id);
      if (!record || duplicate || known.has(id)) continue;
      this.records.delete(id);
      transaction.written.push(record);
    }
    return jobs;
  }

  async find(tenant: string, id: string): Promise<Job | undefined> {
    await this.answer();
    return this.recordOf(tenant, id)?.toJob(this.now);
  }

  async history(tenant: string, id: string): Promise<JobHistory | undefined> {
    await this.answer();
    const record = this.recordOf(tenant, id);
    const attempts = record?.attempts.map(({ token: _token, ...attempt }) => attempt);
    return record && attempts && { job: record.toJob(this.now), attempts };
  }

  async pulses(ids: readonly string[]): Promise<JobPulse[]> {
    await this.answer();
    return ids.flatMap((id) => {
      const record = this.records.get(id);
      if (!record) return [];
      const { status, run, attemptsMade, progress } = record.toJob(this.now);
      return [{ id, status, run, attemptsMade, progress, lastSeq: record.logs.at(-1)?.seq ?? 0 }];
    });
  }

  async logs(tenant: string, id: string, page: { afterSeq: number; limit: number }): Promise<JobLogLine[]> {
    await this.answer();
    const lines = this.recordOf(tenant, id)?.logs ?? [];
    return lines.filter(({ seq }) => seq > page.afterSeq).slice(0, page.limit);
  }

  async page(
    tenant: string,
    filter: JobFilter,
    { limit, before, scan = Infinity }: PageRequest,
  ): Promise<JobPage> {
    await this.answer();
    const all = [...this.records.values()]
      .filter((record) => record.isOf(tenant) && (before === undefined || record.id < before))
      .sort((a, b) => (a.id < b.id ? 1 : -1));
    const matching = all.slice(0, scan).filter((record) => record.matches(filter, this.now));
    const jobs = matching.slice(0, limit).map((record) => record.toJob(this.now));

    const more = matching.length > limit ? jobs.at(-1)?.id : undefined;
    return { jobs, next: more ?? (all.length > scan ? all[scan - 1]?.id : undefined) };
  }

  async retry(tenant: string, id: string, json?: string): Promise<Job | undefined> {
    await this.answer();
    const record = this.recordOf(tenant, id);
    if (record && !record.live) this.assertUnique(tenant, record.dedupeKey);
    record?.retry(this.now, json);
    return record?.toJob(this.now);
  }

  async cancel(tenant: string, id: string): Promise<Job | undefined> {
    await this.answer();
    const record = this.recordOf(tenant, id);
    record?.cancel(this.now);
    return record?.toJob(this.now);
  }

  async runNow(tenant: string, id: string): Promise<Job | undefined> {
    await this.answer();
    const record = this.recordOf(tenant, id);
    record?.runNow(this.now);
    return record?.toJob(this.now);
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    await this.answer();
    const record = this.records.get(request.jobId);
    return record?.claim(request, this.now, this.paused.has(record.queue)) ?? { kind: 'gone' };
  }

  async settle(settlement: Settlement): Promise<boolean> {
    await this.answer();
    const workerName = (id: string) => this.workers.get(id)?.name ?? id;
    return this.records.get(settlement.jobId)?.settle(settlement, this.now, workerName) ?? false;
  }

  async settleWith({ jobId, token }: HeldClaim, effect: Effect): Promise<{ result: Json } | undefined> {
    await this.answer();
    if (!this.claimed({ jobId, token })) return this.records.get(jobId)?.resultOf(token);
    const result = await effect(undefined).catch((error: unknown) => {
      throw new EffectFailed(error);
    });
    return (await this.settle({ jobId, token, outcome: 'completed', result })) ? { result } : undefined;
  }

  async release(claim: HeldClaim, reason: string, delay = 0): Promise<boolean> {
    await this.answer();
    const [record] = this.claimed(claim) ?? [];
    record?.release(reason, delay, this.now);
    return record !== undefined;
  }

  async releaseAll(workerId: string, reason: string): Promise<number> {
    await this.answer();
    const claimed = this.live().filter(([, { claim }]) => claim?.workerId === workerId);
    for (const [record] of claimed) record.release(reason, 0, this.now);
    return claimed.length;
  }

  async markAlone(held: HeldClaim): Promise<boolean> {
    await this.answer();
    const [, live] = this.claimed(held) ?? [];
    if (live?.claim) live.claim.alone = true;
    return live !== undefined;
  }

  async report(report: AttemptReport): Promise<boolean> {
    await this.answer();
    const [record] = this.claimed(report) ?? [];
    record?.report(report, () => ++this.lastSeq);
    return record !== undefined;
  }

  async held(workerId: string): Promise<(HeldClaim & { age: number })[]> {
    await this.answer();
    return this.live().flatMap(([{ id: jobId }, { claim }]) =>
      claim?.workerId === workerId ? [{ jobId, token: claim.token, age: this.now - claim.at }] : [],
    );
  }

  async due(
    lane: Lane,
    limit: number,
    after: readonly DuePosition[] = [],
  ): Promise<(DueDelivery & DuePosition)[]> {
    await this.answer();
    if (this.paused.has(lane.queue)) return [];
    const walked = new Map(after.map((position) => [position.priority, position]));
    return this.live(lane)
      .filter(([{ priority, id }, { runAt }]) => {
        const last = walked.get(priority);
        return !last || runAt > Number(last.runAt) || (runAt === Number(last.runAt) && id > last.jobId);
      })
      .filter(([record, { pushedAt, runAt }]) => {
        if (pushedAt !== null || runAt > this.now || record.isExpired(this.now)) return false;
        return !record.isFresh(FRESH, this.now);
      })
      .sort(byTurn)
      .slice(0, limit)
      .map(([record, live]) => ({ ...record.toDue(live), runAt: String(live.runAt) }));
  }

  async markPushed<Pushed extends Delivery & { ago?: number }>(
    deliveries: readonly Pushed[],
  ): Promise<Pushed[]> {
    await this.answer();
    return deliveries.filter((pushed) => {
      const [[, live] = []] = this.unclaimedOnes([pushed]);
      if (!live || live.pushedAt !== null) return false;
      live.pushedAt = this.now - (pushed.ago ?? 0);
      return true;
    });
  }

  async hasBacklog(lane: Lane): Promise<boolean> {
    await this.answer();
    if (this.paused.has(lane.queue)) return true;
    return this.live(lane).some(([, { pushedAt, runAt }]) => pushedAt === null && runAt < this.now - FRESH);
  }

  async leaseLanes(holder: string, lanes: readonly Lane[], lease: number): Promise<Lane[]> {
    await this.answer();
    return [...lanes]
      .sort((a, b) => a.shard - b.shard || (a.queue < b.queue ? -1 : 1))
      .filter((lane) => {
        const key = `${lane.queue}-${lane.shard}`;
        const known = this.leases.get(key);
        if (known && known.holder !== holder && known.until >= this.now) return false;
        this.leases.set(key, { lane, holder, until: this.now + lease });
        return true;
      });
  }

  async unrelayed(): Promise<string[]> {
    await this.answer();
    const current = [...this.leases.values()].filter(({ until }) => until >= this.now);
    const relayed = new Set(current.map(({ lane }) => lane.queue));
    const waiting = this.live().filter(
      ([{ queue }, { pushedAt }]) => pushedAt === null && !relayed.has(queue),
    );
    return [...new Set(waiting.map(([{ queue }]) => queue))].sort();
  }

  async returnLanes(holder: string): Promise<void> {
    await this.answer();
    for (const [lane, lease] of this.leases) if (lease.holder === holder) this.leases.delete(lane);
  }

  async unclaimed(
    lane: Lane,
    { olderThan, after = '', limit }: { olderThan: number; after?: string; limit: number },
  ): Promise<DueDelivery[]> {
    await this.answer();
    return this.live(lane)
      .filter(([, { claim, pushedAt }]) => !claim && pushedAt !== null && pushedAt <= this.now - olderThan)
      .filter(([{ id }]) => id > after)
      .slice(0, limit)
      .map(([record, live]) => record.toDue(live));
  }

  async redeliver(deliveries: readonly Delivery[]): Promise<number> {
    await this.answer();
    const lost = this.unclaimedOnes(deliveries).filter(([, { pushedAt }]) => pushedAt !== null);
    for (const [, live] of lost) takeBack(live);
    return lost.length;
  }

  async reap(lease: number, crashLimit: number): Promise<Reaped[]> {
    await this.answer();
    const old = this.now - lease;
    for (const [id, { beatAt }] of this.workers) if (beatAt < old) this.workers.delete(id);

    return this.live().flatMap(([record, live]) => {
      if (!live.claim || live.claim.at >= old || this.workers.has(live.claim.workerId)) return [];
      return [record.reap(live, live.claim.workerId, crashLimit, this.now)];
    });
  }

  async expire(limit: number): Promise<string[]> {
    await this.answer();
    const late = this.live().filter(([record, { claim }]) => !claim && record.isExpired(this.now));
    for (const [record, live] of late.slice(0, limit)) record.expire(live, this.now);
    return late.slice(0, limit).map(([{ id }]) => id);
  }

  async countLive(tenant: string): Promise<LiveCounts[]> {
    await this.answer();
    const queues = new Map<string, LiveCounts>();
    for (const [record, { claim, pushedAt, runAt }] of this.live()) {
      if (!record.isOf(tenant)) continue;
      const none = { waiting: 0, delayed: 0, active: 0, unpushed: 0, oldestWaiting: null };
      const counts = queues.get(record.queue) ?? { queue: record.queue, ...none };
      queues.set(record.queue, counts);
      const due = runAt <= this.now;
      counts[claim ? 'active' : due ? 'waiting' : 'delayed']++;
      if (due && pushedAt === null) counts.unpushed++;
      if (due && !claim) counts.oldestWaiting = Math.max(counts.oldestWaiting ?? 0, this.now - runAt);
    }
    return [...queues.values()].sort((a, b) => (a.queue < b.queue ? -1 : 1));
  }

  async drift(): Promise<DriftCounts> {
    await this.answer();
    return { ...this.drifted };
  }

  async addDrift(counts: Partial<DriftCounts>): Promise<void> {
    await this.answer();
    for (const kind of DRIFT) this.drifted[kind] += counts[kind] ?? 0;
  }

  async pause(queue: string): Promise<void> {
    await this.answer();
    if (!this.paused.has(queue)) this.paused.set(queue, this.now);
  }

  async resume(queue: string): Promise<void> {
    await this.answer();
    this.paused.delete(queue);
  }

  async pauses(): Promise<QueuePause[]> {
    await this.answer();
    const pauses = [...this.paused].map(([queue, since]) => ({ queue, since: new Date(since) }));
    return pauses.sort((a, b) => (a.queue < b.queue ? -1 : 1));
  }

  async standing(tenant: string, id: string, most: number): Promise<Standing | undefined> {
    await this.answer();
    const record = this.recordOf(tenant, id);
    if (!record?.live || record.live.claim) return undefined;

    const { queue, shard, live } = record;
    const lane = this.live({ queue, shard });
    const due = lane.filter(([, { claim, runAt }]) => !claim && runAt <= this.now);
    const lease = this.leases.get(`${queue}-${shard}`);
    return {
      at: new Date(this.now),
      pushed: live.pushedAt !== null,
      relayed: lease !== undefined && lease.until >= this.now,
      crashes: live.crashes,
      ahead: Math.min(most, due.filter((other) => byTurn(other, [record, live]) < 0).length),
      active: lane.filter(([, { claim }]) => claim).length,
    };
  }

  /** All or none. */
  private insertAll(drafts: readonly JobDraft[]): SubmittedJob[] {
    const before = new Map(this.records);
    try {
      return drafts.map((draft) => this.insertOne(draft));
    } catch (error) {
      for (const id of [...this.records.keys()]) if (!before.has(id)) this.records.delete(id);
      throw error;
    }
  }

  private insertOne(draft: JobDraft): SubmittedJob {
    const holder = this.holderOf(draft.tenant, draft.dedupeKey);
    if (holder && draft.onDuplicate === 'return') return { ...holder.toJob(this.now), duplicate: true };
    if (holder && draft.onDuplicate === 'replace' && !holder.live?.claim) holder.cancel(this.now);
    this.assertUnique(draft.tenant, draft.dedupeKey);

    const id = this.newId();
    const record = new JobRecord(id, shardOf(id, this.shards), draft, this.now);
    this.records.set(id, record);
    return record.toJob(this.now);
  }

  private holderOf(tenant: string, dedupeKey: string | undefined): JobRecord | undefined {
    if (dedupeKey === undefined) return undefined;
    const live = this.live().find(([record]) => record.isOf(tenant) && record.dedupeKey === dedupeKey);
    return live?.[0];
  }

  /** @throws DuplicateJob */
  private assertUnique(tenant: string, dedupeKey: string | undefined): void {
    const holder = this.holderOf(tenant, dedupeKey);
    if (holder) throw new DuplicateJob(dedupeKey ?? '', holder.id);
  }

  /** By id, as the map grows. */
  private live(lane?: Lane): Live[] {
    return [...this.records.values()].flatMap((record): Live[] => {
      const here = !lane || (record.queue === lane.queue && record.shard === lane.shard);
      return here && record.live ? [[record, record.live]] : [];
    });
  }

  private unclaimedOnes(deliveries: readonly Delivery[]): Live[] {
    return deliveries.flatMap(({ jobId, delivery }): Live[] => {
      const record = this.records.get(jobId);
      const live = record?.live;
      return record && live && !live.claim && live.delivery === delivery ? [[record, live]] : [];
    });
  }

  private claimed({ jobId, token }: HeldClaim): Live | undefined {
    const record = this.records.get(jobId);
    return record?.live && record.isHeldBy(token) ? [record, record.live] : undefined;
  }

  private recordOf(tenant: string, id: string): JobRecord | undefined {
    const record = this.records.get(id);
    return record?.isOf(tenant) ? record : undefined;
  }

  /** RFC 9562, version 7; a sequence in rand_a keeps the order within a millisecond. */
  private newId(): string {
    if (this.idsThisMs > 0xfff) this.advance(1);
    const time = this.now.toString(16).padStart(12, '0');
    const sequence = (this.idsThisMs++).toString(16).padStart(3, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${randomUUID().slice(19)}`;
  }

  private async answer(): Promise<void> {
    await Promise.resolve();
    if (this.down) throw new RecordUnavailable(new Error('it is down'));
  }
}

/** @throws IdempotencyKeyReused */
function replay({ fingerprint, jobs }: KnownKey, once: Once): SubmittedJob[] {
  if (fingerprint !== once.fingerprint) throw new IdempotencyKeyReused();
  return jobs.map((job) => ({ ...job, replayed: true }));
}

/** By priority, due time, id. */
function byTurn([a, one]: Live, [b, other]: Live): number {
  return a.priority - b.priority || one.runAt - other.runAt || (a.id < b.id ? -1 : 1);
}
