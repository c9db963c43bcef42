import { Injectable, Logger } from '@nestjs/common';
import { OnWorkerEvent, WorkerHost } from '@nestjs/bullmq';
import { type Job, WaitingError } from 'bullmq';
import { displayCopy } from '../job-types/display-copy.js';
import type { Lane } from '../jobs/job-queue.js';
import type { JobError, Json } from '../jobs/job.js';
import { type RunJobOutcome, RunJobUseCase } from '../jobs/use-cases/run-job.use-case.js';
import type { WatchedConsumer } from './consumer-watchdog.js';
import { isRefusal, type Taken } from './delivery-batches.js';
import { parseDeliveryId } from './delivery-id.js';
import { DeliveryWatch } from './delivery-watch.js';
import { deliveryOf, type Ending, type LaneConsumer } from './lane-consumer.js';
import type { Place } from './places.js';
import { QueueConnection } from './queue-connection.js';
import { within } from './within.js';

const LONGEST_RECONNECT = 2_000;

/** Takes one lane's deliveries from BullMQ to the use case, and its answer back. A class a lane extends it. */
@Injectable()
export class JobsProcessor extends WorkerHost implements WatchedConsumer {
  /** Given by each lane's class. */
  readonly lane: Lane = { queue: '', shard: 0 };

  private readonly logger = new Logger('Queue');
  /** Where deliveries are taken many at a time; else BullMQ's worker calls `process` for each. */
  private consumer?: LaneConsumer;
  private inHand = 0;
  private lastMove = performance.now();

  constructor(
    private readonly runJob: RunJobUseCase,
    private readonly connection: QueueConnection,
  ) {
    super();
  }

  /** Once BullMQ's worker is made. */
  start(): void {
    this.consumer = this.connection.consumerOf(this.worker, (taken, place) => this.take(taken, place));
    this.consumer?.start();
  }

  async pause(): Promise<void> {
    this.consumer?.stop();
    await this.worker.pause(true);
  }

  /** Deliveries that are run or settled just now. */
  get running(): number {
    return this.consumer?.inHand ?? this.inHand;
  }

  /** What has run frees its place at once, and is settled while the next one runs. */
  private async take(taken: Taken, place: Place): Promise<Ending> {
    const delivery = parseDeliveryId(taken.id);
    if (!delivery) return failed(strangerIn(taken.id));
    const watch = new DeliveryWatch(taken.id, () => deliveryOf(this.worker, taken));
    try {
      const outcome = await this.runJob.execute({
        jobId: delivery.jobId,
        delivery: delivery.delivery,
        firstTaken: !taken.again,
        watch,
        enter: place.enter,
        onRan: place.leave,
      });
      return outcome.kind === 'unanswered' ? 'handed back' : shown(outcome);
    } catch (error) {
      return failed(error instanceof Error ? error : new Error(String(error)));
    } finally {
      const closing = watch.close();
      if (closing) await closing;
    }
  }

  /** @returns what Bull Board shows as the delivery's result */
  async process(job: Job, token?: string): Promise<Json> {
    const delivery = parseDeliveryId(job.id);
    if (!delivery) throw strangerIn(job.id);
    if (this.worker.isPaused()) return handBack(job, token);

    const watch = new DeliveryWatch(job.id, () => job);
    this.inHand++;
    this.lastMove = performance.now();
    try {
      const outcome = await this.runJob.execute({ ...delivery, watch });
      if (outcome.kind === 'unanswered') return await handBack(job, token);
      if (outcome.kind === 'failed') throw asError(outcome.error);
      return resultOf(outcome);
    } finally {
      await watch.close();
      this.inHand--;
      this.lastMove = performance.now();
    }
  }

  silentFor(): number {
    if (this.consumer) return this.consumer.silentFor();
    const free = !this.worker.isPaused() && this.inHand < this.worker.concurrency;
    return free ? performance.now() - this.lastMove : 0;
  }

  async reconnect(): Promise<void> {
    const backend = this.worker.getBackend();
    this.lastMove = performance.now();
    await within(LONGEST_RECONNECT, backend.disconnectBlocking(true)).catch(() => undefined);
    await within(LONGEST_RECONNECT, backend.reconnectBlocking()).catch(() => undefined);
    if (this.consumer) this.consumer.reconnected();
    else if (!this.worker.isRunning()) this.worker.run().catch((error: Error) => this.onError(error));
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

function strangerIn(id: string | undefined): Error {
  return new Error(`"${id}" is no delivery of this platform`);
}

/** A failed attempt is a failed delivery, so that Bull Board shows each attempt with its outcome. */
function shown(outcome: RunJobOutcome): Ending {
  if (outcome.kind === 'failed') return failed(asError(outcome.error));
  return { value: JSON.stringify(resultOf(outcome)), stack: '' };
}

function failed({ message, stack }: Error): Ending {
  return { value: message, stack: JSON.stringify([stack]) };
}

function resultOf(outcome: RunJobOutcome): Json {
  return outcome.kind === 'completed' ? displayCopy(outcome.result) : { outcome: outcome.kind };
}

/** Under a name of its own: BullMQ takes some error names for signals, and a code may be any word. */
function asError({ code, message, stack }: JobError): Error {
  const error = new Error(code === 'HANDLER_ERROR' ? message : `${code}: ${message}`);
  error.name = 'AttemptFailed';
  error.stack = stack ?? error.message;
  return error;
}
