import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { AppConfig } from '../../config/app-config.js';
import { Heartbeat } from '../delivery/heartbeat.js';
import { Reaper } from '../delivery/reaper.js';
import { Repeater } from '../delivery/repeater.js';
import { JobRepository, type HeldClaim } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { type RunningJob, RunningJobs } from './running-jobs.js';

/** What takes deliveries from the queue in this process. */
export abstract class Consumers {
  /** Begins to take deliveries. */
  abstract start(): Promise<void> | void;

  /** Takes no more; what runs goes on. */
  abstract pause(): Promise<void>;

  /** Ends the connections, by force after `timeout` ms. */
  abstract close(timeout: number): Promise<void>;
}

/** A claim older than this (ms) that this process does not know is a stranger: its answer got lost on the way. */
const STRANGER_AFTER = 10_000;
const COMPARE_INTERVAL = 2_000;

/**
 * A worker's start and end, in the order in which nothing is lost: it consumes once its heartbeat is on record, and
 * leaves the record last, when everything it held has been handed back.
 */
@Injectable()
export class WorkerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Worker');
  readonly #comparison = new Repeater(() => this.compareClaims(), COMPARE_INTERVAL);

  constructor(
    private readonly config: AppConfig,
    private readonly identity: WorkerIdentity,
    private readonly heartbeat: Heartbeat,
    private readonly reaper: Reaper,
    private readonly consumers: Consumers,
    private readonly running: RunningJobs,
    private readonly jobs: JobRepository,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.heartbeat.onLost(() => this.running.abortAll('lease lost'));
    await this.heartbeat.start();
    await this.consumers.start();
    this.reaper.start();
    this.#comparison.start();
    this.#logger.log('consuming', {
      workerId: this.identity.id,
      queues: this.identity.queues.map(({ name, concurrency }) => `${name}:${concurrency}`).join(','),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.reaper.stop(), this.#comparison.stop(), this.consumers.pause()]);
    await this.running.close(this.config.worker.shutdownGrace);
    const handedBack = await this.jobs.releaseAll(this.identity.id, 'shutdown').catch(() => 0);
    await this.consumers.close(2_000);
    await this.heartbeat.stop();
    this.#logger.log('stopped', { workerId: this.identity.id, handedBack });
  }

  /** Exposed for tests. What this process holds and what the record ascribes to it must be the same. */
  async compareClaims(): Promise<void> {
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
