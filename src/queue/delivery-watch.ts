import { Logger } from '@nestjs/common';
import type { Job } from 'bullmq';
import type { JobProgress } from '../jobs/job.js';
import { within } from './within.js';

const MOST_PENDING = 1_000;
const LONGEST_CLOSE = 1_000;

const logger = new Logger('Queue');

/**
 * Shows an attempt's progress and log lines in Bull Board, best effort: it never fails the attempt, and holds it up
 * for a second at most. One write at a time, because BullMQ on PostgreSQL refuses parallel log lines of a job.
 */
export class DeliveryWatch {
  private latest: JobProgress | undefined;
  private lines: string[] = [];
  private writing: Promise<void> | undefined;
  private closed = false;

  /** @param delivery made when there is something to show: most attempts report nothing */
  constructor(
    private readonly id: string | undefined,
    private readonly delivery: () => Pick<Job, 'updateProgress' | 'log'>,
  ) {}

  progress(progress: JobProgress): void {
    this.latest = progress;
    this.wake();
  }

  log(lines: string[]): void {
    this.lines.push(...lines.slice(0, MOST_PENDING - this.lines.length));
    this.wake();
  }

  /** Waits until all is written, but not for long; what is left then is dropped. */
  close(): Promise<void> | undefined {
    if (this.writing) return this.closeWritten(this.writing);
    this.closed = true;
    return undefined;
  }

  private async closeWritten(writing: Promise<void>): Promise<void> {
    await within(LONGEST_CLOSE, writing).catch(() => undefined);
    this.closed = true;
  }

  private wake(): void {
    if (this.closed || this.writing) return;
    this.writing = this.write().finally(() => (this.writing = undefined));
  }

  private async write(): Promise<void> {
    for (let next = this.next(); next; next = this.next()) {
      try {
        await next();
      } catch (error) {
        logger.debug({ msg: 'not shown in the dashboard', delivery: this.id, error: String(error) });
      }
    }
  }

  private next(): (() => Promise<unknown>) | undefined {
    if (this.closed) return undefined;
    const progress = this.latest;
    this.latest = undefined;
    if (progress) return () => this.delivery().updateProgress({ ...progress });

    const line = this.lines.shift();
    return line === undefined ? undefined : () => this.delivery().log(line);
  }
}
