import { Injectable, Logger } from '@nestjs/common';
import { OnWorkerEvent, WorkerHost } from '@nestjs/bullmq';
import { type Job, WaitingError } from 'bullmq';
import { displayCopy } from '../job-types/display-copy.js';
import type { Delivery, Lane } from '../jobs/job-queue.js';
import type { JobError, Json } from '../jobs/job.js';
import { type RunJobOutcome, RunJobUseCase } from '../jobs/use-cases/run-job.use-case.js';
import { isRefusal, type EndLater } from './batched-consumer.js';
import type { WatchedConsumer } from './consumer-watchdog.js';
import { parseDeliveryId } from './delivery-id.js';
import { DeliveryWatch } from './delivery-watch.js';
import { QueueConnection } from './queue-connection.js';
import { within } from './within.js';

const LONGEST_RECONNECT = 2_000;

/** Takes one lane's deliveries from BullMQ to the use case, and its answer back. A class a lane extends it. */
@Injectable()
export class JobsProcessor extends WorkerHost implements WatchedConsumer {
  /** Given by each lane's class. */
  readonly lane: Lane = { queue: '', shard: 0 };

  /** Given where the queue can be told of an end when the place is free already. */
  endLater?: EndLater;

  private readonly logger = new Logger('Queue');
  private places = 0;
  private inHand = 0;
  /** Of those in hand: they have run, and their outcome is being written. */
  private settling = 0;
  private lastMove = performance.now();

  constructor(
    private readonly runJob: RunJobUseCase,
    private readonly connection: QueueConnection,
  ) {
    super();
  }

  /** Deliveries that are run or settled just now. */
  get running(): number {
    return this.inHand;
  }

  /**
   * What has run frees its place at once, and is settled while the next one runs: as many at most as there are places.
   * @returns what Bull Board shows as the delivery's result
   */
  async process(job: Job, token?: string): Promise<Json> {
    const delivery = parseDeliveryId(job.id);
    if (!delivery) throw new Error(`"${job.id}" is no delivery of this platform`);
    if (this.worker.isPaused()) return handBack(job, token);

    this.places++;
    try {
      return await new Promise<Json>((leave, reject) => {
        const outcome = this.run(job, token, delivery, () => {
          if (!this.endLater || this.settling >= this.worker.concurrency) return false;
          this.settling++;
          const settled = (): void => void this.settling--;
          outcome.then(settled, settled);
          this.endLater(job, outcome);
          leave(null);
          return true;
        });
        outcome.then(leave, reject);
      });
    } finally {
      this.places--;
      this.lastMove = performance.now();
    }
  }

  private async run(
    job: Job,
    token: string | undefined,
    delivery: Delivery,
    onRan: () => boolean,
  ): Promise<Json> {
    const watch = new DeliveryWatch(job);
    this.inHand++;
    this.lastMove = performance.now();
    try {
      const outcome = await this.runJob.execute({ ...delivery, watch, onRan });
      return outcome.kind === 'unanswered' ? await handBack(job, token) : shown(outcome);
    } finally {
      await watch.close();
      this.inHand--;
    }
  }

  silentFor(): number {
    const free = !this.worker.isPaused() && this.places < this.worker.concurrency;
    return free ? performance.now() - this.lastMove : 0;
  }

  async reconnect(): Promise<void> {
    const backend = this.worker.getBackend();
    this.lastMove = performance.now();
    await within(LONGEST_RECONNECT, backend.disconnectBlocking(true)).catch(() => undefined);
    await within(LONGEST_RECONNECT, backend.reconnectBlocking()).catch(() => undefined);
    if (!this.worker.isRunning()) this.worker.run().catch((error: Error) => this.onError(error));
  }

  /** BullMQ retries on its own, and the record notices what it loses. */
  @OnWorkerEvent('error')
  onError(error: Error): void {
    if (isRefusal(error)) this.logger.warn(`A delivery was not acknowledged: ${error.message}`);
    else this.connection.outages.failed(error, this.connection.serverOf(this.lane));
  }
}

/** What this worker cannot take to its end, because it is told to stop, goes to another one at once. */
async function handBack(job: Job, token: string | undefined): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError();
}

/** A failed attempt is a failed delivery, so that Bull Board shows each attempt with its outcome. */
function shown(outcome: RunJobOutcome): Json {
  if (outcome.kind === 'failed') throw asError(outcome.error);
  return outcome.kind === 'completed' ? displayCopy(outcome.result) : { outcome: outcome.kind };
}

/** Under a name of its own: BullMQ takes some error names for signals, and a code may be any word. */
function asError({ code, message, stack }: JobError): Error {
  const error = new Error(code === 'HANDLER_ERROR' ? message : `${code}: ${message}`);
  error.name = 'AttemptFailed';
  error.stack = stack ?? error.message;
  return error;
}
