import { Injectable, Logger } from '@nestjs/common';
import { Repeater } from '../delivery/repeater.js';
import { JobRepository, type HeldClaim } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { type RunningJob, RunningJobs } from './running-jobs.js';

/** A claim older than this (ms) that this process does not know is a stranger: its answer got lost on the way. */
const STRANGER_AFTER = 10_000;
const INTERVAL = 2_000;

/** What this process runs and what the record ascribes to it must be the same. */
@Injectable()
export class ClaimCheck {
  readonly #logger = new Logger('Worker');
  readonly #runs = new Repeater(() => this.run(), INTERVAL);

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
      const running = this.running.all();
      const held = await this.jobs.held(this.identity.id);
      const tokens = new Set(held.map(({ token }) => token));
      for (const one of running) if (!tokens.has(one.claim.token)) await this.regain(one);
      for (const claim of held) await this.releaseStranger(claim);
    } catch {
      // The database is away; the next run will see.
    }
  }

  /** A crash of PostgreSQL may have taken the claim back; else another worker has the job, or will. */
  private async regain(running: RunningJob): Promise<void> {
    const { jobId, delivery, token } = running.claim;
    const answer = await this.jobs.claim({ jobId, delivery, token, workerId: this.identity.id });
    if (answer.kind !== 'claimed') running.abort('lease lost');
  }

  private async releaseStranger(claim: HeldClaim & { age: number }): Promise<void> {
    if (claim.age < STRANGER_AFTER || this.running.holds(claim)) return;
    if (await this.jobs.release(claim, 'not running here')) {
      this.#logger.warn('released', { jobId: claim.jobId, reason: 'not running here' });
    }
  }
}
