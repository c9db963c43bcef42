import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { AppConfig } from '../../config/app-config.js';
import { Heartbeat } from '../delivery/heartbeat.js';
import { Reaper } from '../delivery/reaper.js';
import { JobRepository } from '../job-repository.js';
import { WorkerIdentity } from '../worker-identity.js';
import { ClaimCheck } from './claim-check.js';
import { DeferredClaims } from './deferred-claims.js';
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

/**
 * A worker's start and end, in the order in which nothing is lost: it consumes once its heartbeat is on record, and
 * leaves the record last, when everything it held has been handed back.
 */
@Injectable()
export class WorkerLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Worker');

  constructor(
    private readonly config: AppConfig,
    private readonly identity: WorkerIdentity,
    private readonly heartbeat: Heartbeat,
    private readonly reaper: Reaper,
    private readonly consumers: Consumers,
    private readonly running: RunningJobs,
    private readonly claims: ClaimCheck,
    private readonly deferred: DeferredClaims,
    private readonly jobs: JobRepository,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.heartbeat.onLost(() => this.running.abortAll('lease lost'));
    await this.heartbeat.start();
    await this.consumers.start();
    this.reaper.start();
    this.claims.start();
    this.deferred.start();
    this.#logger.log('consuming', {
      workerId: this.identity.id,
      queues: this.identity.queues.map(({ name, concurrency }) => `${name}:${concurrency}`).join(','),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.reaper.stop(), this.claims.stop(), this.consumers.pause()]);
    await this.running.close(this.config.worker.shutdownGrace);
    await this.deferred.stop();
    const handedBack = await this.jobs.releaseAll(this.identity.id, 'shutdown').catch(() => 0);
    await this.consumers.close(2_000);
    await this.heartbeat.stop();
    this.#logger.log('stopped', { workerId: this.identity.id, handedBack });
  }
}
