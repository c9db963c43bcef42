import { Injectable, Logger } from '@nestjs/common';
import { Repeater } from '../delivery/repeater.js';
import { JobRepository, type HeldClaim } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { type RunningJob, RunningJobs } from './running-jobs.js';

/** A claim older than this (ms) that this process does not know is a stranger: its answer got lost on the way. */
const STRANGER_AFTER = 10_000;
/** A cancelled job is told to stop within a second. */
const INTERVAL = 500;
/** Runs of the check that an idle process leaves out, between two that it does not. */
const IDLE_RUNS = 3;

/** What this process runs and what the record ascribes to it must be the same. */
@Injectable()
export class ClaimCheck {
  readonly #logger = new Logger('Worker');
  readonly #runs = new Repeater(() => this.runUnlessIdle(), INTERVAL);
  #idleRuns = 0;

  constructor(
    private readonly jobs: JobRepository,
    private readonly running: RunningJobs,
    private readonly identity: WorkerIdentity,
  ) {}

  start(): void {
    this.#runs.start();
  }

  async stop(): Promise<void> {
    await this.#runs.stop();
  }

  /** One comparison. Exposed for tests. */
  async run(): Promise<void> {
    try {
      const running = this.running.all().filter(({ isOnRecord }) => isOnRecord);
      const held = await this.jobs.held(this.identity.id);
      const tokens = new Set(held.map(({ token }) => token));
      for (const one of running) if (!tokens.has(one.claim.token)) await this.regain(one);
      for (const claim of held) await this.releaseStranger(claim);
    } catch {
      // The database is away; the next run will see.
    }
  }

  /** To an attempt whose token is not current any more whatever it still does is in vain. */
  async lost(running: RunningJob): Promise<void> {
    const { tenant, jobId } = running.claim;
    const job = await this.jobs.find(tenant, jobId).catch(() => undefined);
    if (job?.status === 'cancelled') running.cancel();
    else running.abort('lease lost');
  }

  private async runUnlessIdle(): Promise<void> {
    if (this.running.size === 0 && this.#idleRuns++ < IDLE_RUNS) return;
    this.#idleRuns = 0;
    await this.run();
  }

  /** A crash of PostgreSQL may have taken the claim back; else another worker has the job, or will. */
  private async regain(running: RunningJob): Promise<void> {
    const { jobId, delivery, token } = running.claim;
    const request = { jobId, delivery, token, workerId: this.identity.id, started: true };
    const answer = await this.jobs.claim(request);
    if (answer.kind !== 'claimed') await this.lost(running);
  }

  private async releaseStranger(claim: HeldClaim & { age: number }): Promise<void> {
    if (claim.age < STRANGER_AFTER || this.running.holds(claim)) return;
    if (await this.jobs.release(claim, 'not running here')) {
      this.#logger.warn('released', { jobId: claim.jobId, reason: 'not running here' });
    }
  }
}
