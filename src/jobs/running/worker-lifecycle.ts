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
import { JobRepository } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { RunningJobs } from './running-jobs.js';

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
const STRANGER_INTERVAL = 5_000;

/**
 * A worker's start and end, in the order in which nothing is lost: it consumes once its heartbeat is on record, and
 * leaves the record last, when everything it held has been handed back.
 */
@Injectable()
export class WorkerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Worker');
  readonly #strangers = new Repeater(() => this.releaseStrangers(), STRANGER_INTERVAL);

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
    this.#strangers.start();
    this.#logger.log('consuming', {
      workerId: this.identity.id,
      queues: this.identity.queues.map(({ name, concurrency }) => `${name}:${concurrency}`).join(','),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.reaper.stop(), this.#strangers.stop(), this.consumers.pause()]);
    await this.running.close(this.config.worker.shutdownGrace);
    const handedBack = await this.jobs.releaseAll(this.identity.id, 'shutdown').catch(() => 0);
    await this.consumers.close(2_000);
    await this.heartbeat.stop();
    this.#logger.log('stopped', { workerId: this.identity.id, handedBack });
  }

  private async releaseStrangers(): Promise<void> {
    try {
      for (const claim of await this.jobs.held(this.identity.id, STRANGER_AFTER)) {
        if (this.running.holds(claim)) continue;
        if (await this.jobs.release(claim, 'not running here')) {
          this.#logger.warn('released', { jobId: claim.jobId, reason: 'not running here' });
        }
      }
    } catch {
      // The database is away; the next run will see.
    }
  }
}
