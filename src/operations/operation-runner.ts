import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Repeater } from '../jobs/delivery/repeater.js';
import { OperationRepository } from './operation-repository.js';

const INTERVAL = 500;
/** Of jobs: a submit may wait behind one. */
const BATCH = 200;
/** Between two batches (ms) at least, and as long as the last one took: submits and settlements have their turn. */
const PAUSE = 25;

/** Carries operations on, batch by batch, also those that another process left behind. */
@Injectable()
export class OperationRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Operations');
  readonly #runs = new Repeater(() => this.run(), INTERVAL);
  #closing = false;
  #down = false;

  constructor(private readonly operations: OperationRepository) {}

  onApplicationBootstrap(): void {
    this.#runs.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#closing = true;
    await this.#runs.stop();
  }

  /** Until nothing is left to do. Exposed for tests. */
  async run(): Promise<void> {
    try {
      while (!this.#closing) {
        const started = performance.now();
        const operation = await this.operations.step(BATCH);
        const took = performance.now() - started;
        this.#down = false;
        if (!operation) return;
        if (operation.status === 'completed') {
          const { id, kind, matched, changed } = operation;
          this.#logger.log('completed', { id, kind, matched, changed });
        }
        await sleep(Math.max(PAUSE, took));
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#down) this.#logger.warn('operations wait', { reason });
      this.#down = true;
    }
  }
}
