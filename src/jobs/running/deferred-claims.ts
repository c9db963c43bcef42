import { Injectable } from '@nestjs/common';
import { Repeater } from '../delivery/repeater.js';
import { JobRepository } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { ClaimCheck } from './claim-check.js';
import { type RunningJob, RunningJobs } from './running-jobs.js';

/** An attempt that takes longer (ms) has its claim put on record: most are over before, and never need it. */
const DEFERRED_FOR = 100;
const INTERVAL = 50;

/** Puts claims on record whose attempts have started without. */
@Injectable()
export class DeferredClaims {
  readonly #runs = new Repeater(() => this.run(), INTERVAL);

  constructor(
    private readonly jobs: JobRepository,
    private readonly running: RunningJobs,
    private readonly identity: WorkerIdentity,
    private readonly claims: ClaimCheck,
  ) {}

  start(): void {
    this.#runs.start();
  }

  async stop(): Promise<void> {
    await this.#runs.stop();
  }

  /** One look at what runs. What waits for its place may still be handed back, and is left alone. Exposed for tests. */
  run(): Promise<void> {
    const before = performance.now() - DEFERRED_FOR;
    for (const one of this.running.all()) {
      if (one.isOnRecord || one.hasRun || one.wasStopped || one.since > before) continue;
      this.make(one).catch(() => undefined); // one that waits holds up no other, and whoever needs it asks again
    }
    return Promise.resolve();
  }

  /** At once, where it is not on record yet. @returns false: another has the delivery, or the record is away for good */
  make(running: RunningJob): Promise<boolean> {
    if (running.isOnRecord) return Promise.resolve(true);
    return (running.recording ??= this.record(running).finally(() => (running.recording = undefined)));
  }

  private async record(running: RunningJob): Promise<boolean> {
    const { jobId, delivery, token } = running.claim;
    const request = { jobId, delivery, token, workerId: this.identity.id, started: true };
    const answer = await this.running.untilAnswered(() => this.jobs.claim(request));
    running.isOnRecord = answer?.kind === 'claimed';
    if (answer && !running.isOnRecord && !running.hasRun) await this.claims.lost(running);
    return running.isOnRecord;
  }
}
