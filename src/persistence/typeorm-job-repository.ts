import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AppConfig } from '../config/app-config.js';
import type { DriftCounts } from '../jobs/delivery/drift.js';
import type { Once, SubmittedJob } from '../jobs/idempotency.js';
import type { Delivery, Lane } from '../jobs/job-queue.js';
import {
  JobRepository,
  type AttemptReport,
  type ClaimAnswer,
  type ClaimRequest,
  type DueDelivery,
  type DuePosition,
  type Effect,
  type HeldClaim,
  type JobFilter,
  type JobHistory,
  type JobPage,
  type JobPulse,
  type LiveCounts,
  type PageRequest,
  type QueuePause,
  type Reaped,
  type Settlement,
  type Standing,
} from '../jobs/job-repository.js';
import { assertMove, type Job, type JobDraft, type JobLogLine, type Json, type Move } from '../jobs/job.js';
import { ClaimKeeping } from './claim-keeping.js';
import { answering } from './database-error.js';
import { DedupedInserts } from './deduped-inserts.js';
import { DispatchLedger } from './dispatch-ledger.js';
import { DueDeliveries } from './due-deliveries.js';
import { InsertsWithin } from './inserts-within.js';
import { JobClaims } from './job-claims.js';
import { JobControl } from './job-control.js';
import { JobExpiry } from './job-expiry.js';
import { JobInserts } from './job-inserts.js';
import { JobReads } from './job-reads.js';
import { JobRetries } from './job-retries.js';
import { JobSettlements } from './job-settlements.js';
import { JobStandings } from './job-standings.js';
import { JobStatistics } from './job-statistics.js';
import { KeyedInserts } from './keyed-inserts.js';
import { Partitions } from './partitions.js';
import { ReadDatabase } from './read-database.js';
import { SettlementEffects } from './settlement-effects.js';

/** The record in PostgreSQL. Each concern has its own file with its statements; here they meet the port. */
@Injectable()
export class TypeOrmJobRepository extends JobRepository {
  readonly #inserts: JobInserts;
  readonly #keyedInserts: KeyedInserts;
  readonly #dedupedInserts: DedupedInserts;
  readonly #insertsWithin: InsertsWithin;
  readonly #reads: JobReads;
  readonly #retries: JobRetries;
  readonly #control: JobControl;
  readonly #claims: JobClaims;
  readonly #settlements: JobSettlements;
  readonly #effects: SettlementEffects;
  readonly #keeping: ClaimKeeping;
  readonly #expiry: JobExpiry;
  readonly #due: DueDeliveries;
  readonly #ledger: DispatchLedger;
  readonly #statistics: JobStatistics;
  readonly #standings: JobStandings;

  constructor(
    database: DataSource,
    config: AppConfig,
    partitions: Partitions,
    lists: ReadDatabase = new ReadDatabase(database, config),
  ) {
    super();
    const { shards } = config.queue;
    const ensure = () => partitions.ensure();
    this.#inserts = new JobInserts(database, shards, ensure);
    this.#keyedInserts = new KeyedInserts(database, shards, config.submit.idempotencyTtl, ensure);
    this.#dedupedInserts = new DedupedInserts(database, shards, ensure);
    this.#insertsWithin = new InsertsWithin(database, this.#inserts, this.#dedupedInserts, ensure);
    this.#reads = new JobReads(database, shards, lists);
    this.#retries = new JobRetries(database, shards);
    this.#control = new JobControl(database);
    this.#claims = new JobClaims(database);
    this.#settlements = new JobSettlements(database);
    this.#effects = new SettlementEffects(database, config.database.poolSize);
    this.#keeping = new ClaimKeeping(database);
    this.#expiry = new JobExpiry(database);
    this.#due = new DueDeliveries(database);
    this.#ledger = new DispatchLedger(database);
    this.#statistics = new JobStatistics(database);
    this.#standings = new JobStandings(database);
  }

  insert(drafts: readonly JobDraft[], once?: Once): Promise<SubmittedJob[]> {
    return answering<SubmittedJob[]>(() => {
      if (once) return this.#keyedInserts.insert(drafts, once);
      const deduped = drafts.some(({ dedupeKey }) => dedupeKey !== undefined);
      return (deduped ? this.#dedupedInserts : this.#inserts).insert(drafts);
    });
  }

  insertWithin(transaction: unknown, drafts: readonly JobDraft[]): Promise<SubmittedJob[]> {
    return answering(() => this.#insertsWithin.insert(transaction, drafts));
  }

  find(tenant: string, id: string): Promise<Job | undefined> {
    return answering(() => this.#reads.find(tenant, id));
  }

  history(tenant: string, id: string): Promise<JobHistory | undefined> {
    return answering(() => this.#reads.history(tenant, id));
  }

  pulses(ids: readonly string[]): Promise<JobPulse[]> {
    return answering(() => this.#reads.pulses(ids));
  }

  logs(tenant: string, id: string, page: { afterSeq: number; limit: number }): Promise<JobLogLine[]> {
    return answering(() => this.#reads.logs(tenant, id, page));
  }

  page(tenant: string, filter: JobFilter, page: PageRequest): Promise<JobPage> {
    return answering(() => this.#reads.page(tenant, filter, page));
  }

  retry(tenant: string, id: string, json?: string): Promise<Job | undefined> {
    return this.moved(tenant, id, 'retry', () => this.#retries.retry(tenant, id, json));
  }

  cancel(tenant: string, id: string): Promise<Job | undefined> {
    return this.moved(tenant, id, 'cancel', async () => {
      return (await this.#control.cancel(tenant, [id])).length === 1;
    });
  }

  runNow(tenant: string, id: string): Promise<Job | undefined> {
    return this.moved(tenant, id, 'run_now', () => this.#control.runNow(tenant, id));
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return answering(() => this.#claims.claim(request));
  }

  settle(settlement: Settlement): Promise<boolean> {
    return answering(() => this.#settlements.settle(settlement));
  }

  settleWith(claim: HeldClaim, effect: Effect): Promise<{ result: Json } | undefined> {
    return answering(() => this.#effects.settle(claim, effect));
  }

  release(claim: HeldClaim, reason: string, delay?: number): Promise<boolean> {
    return answering(() => this.#keeping.release(claim, reason, delay));
  }

  releaseAll(workerId: string, reason: string): Promise<number> {
    return answering(() => this.#keeping.releaseAll(workerId, reason));
  }

  markAlone(claim: HeldClaim): Promise<boolean> {
    return answering(() => this.#keeping.markAlone(claim));
  }

  report(report: AttemptReport): Promise<boolean> {
    return answering(() => this.#keeping.report(report));
  }

  held(workerId: string): Promise<(HeldClaim & { age: number })[]> {
    return answering(() => this.#keeping.held(workerId));
  }

  reap(lease: number, crashLimit: number): Promise<Reaped[]> {
    return answering(() => this.#keeping.reap(lease, crashLimit));
  }

  expire(limit: number): Promise<string[]> {
    return answering(() => this.#expiry.expire(limit));
  }

  due(lane: Lane, limit: number, after?: readonly DuePosition[]): Promise<(DueDelivery & DuePosition)[]> {
    return answering(() => this.#due.due(lane, limit, after));
  }

  hasBacklog(lane: Lane): Promise<boolean> {
    return answering(() => this.#due.hasBacklog(lane));
  }

  markPushed<Pushed extends Delivery & { ago?: number }>(deliveries: readonly Pushed[]): Promise<Pushed[]> {
    return answering(() => this.#ledger.markPushed(deliveries));
  }

  unclaimed(lane: Lane, page: { olderThan: number; after?: string; limit: number }): Promise<DueDelivery[]> {
    return answering(() => this.#ledger.unclaimed(lane, page));
  }

  redeliver(deliveries: readonly Delivery[]): Promise<number> {
    return answering(() => this.#ledger.redeliver(deliveries));
  }

  leaseLanes(holder: string, lanes: readonly Lane[], lease: number): Promise<Lane[]> {
    return answering(() => this.#ledger.leaseLanes(holder, lanes, lease));
  }

  unrelayed(): Promise<string[]> {
    return answering(() => this.#ledger.unrelayed());
  }

  returnLanes(holder: string): Promise<void> {
    return answering(() => this.#ledger.returnLanes(holder));
  }

  countLive(tenant: string): Promise<LiveCounts[]> {
    return answering(() => this.#statistics.live(tenant));
  }

  drift(): Promise<DriftCounts> {
    return answering(() => this.#statistics.drift());
  }

  addDrift(counts: Partial<DriftCounts>): Promise<void> {
    return answering(() => this.#statistics.addDrift(counts));
  }

  pause(queue: string): Promise<void> {
    return answering(() => this.#ledger.pause(queue));
  }

  resume(queue: string): Promise<void> {
    return answering(() => this.#ledger.resume(queue));
  }

  pauses(): Promise<QueuePause[]> {
    return answering(() => this.#ledger.pauses());
  }

  standing(tenant: string, id: string, most: number): Promise<Standing | undefined> {
    return answering(() => this.#standings.of(tenant, id, most));
  }

  /**
   * The statement makes the move or not; why not is seen later, when the job may have come to where the move is legal.
   * @throws IllegalTransition
   */
  private moved(
    tenant: string,
    id: string,
    move: Move,
    make: () => Promise<boolean>,
  ): Promise<Job | undefined> {
    return answering(async () => {
      for (;;) {
        const made = await make();
        const job = await this.#reads.find(tenant, id);
        if (!job || made) return job;
        assertMove(id, job.status, move);
      }
    });
  }
}
