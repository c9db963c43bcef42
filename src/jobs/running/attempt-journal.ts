import { Logger } from '@nestjs/common';
import { RecordUnavailable, type PermanentFailure } from '../job.errors.js';
import type { Claim, JobRepository } from '../job-repository.js';
import type { JobProgress } from '../job.js';
import { ReportBounds } from './report-bounds.js';

const FLUSH_INTERVAL = 200;

const logger = new Logger('Job');

/** Where people watch an attempt beside the record. Best effort. */
export interface AttemptWatch {
  progress(progress: JobProgress): void;
  log(lines: string[]): void;
}

/** What one attempt reports while it runs, written in batches and fenced by its token. */
export class AttemptJournal {
  readonly #bounds = new ReportBounds();
  #progress?: JobProgress;
  #lines: { at: Date; line: string }[] = [];
  #timer?: NodeJS.Timeout;
  #writing?: Promise<void>;
  #closed = false;

  /**
   * @param claimed resolves once the claim is on record, without which nothing can be reported
   * @param onRefused the attempt's token is not current any more: whatever it still does is in vain
   */
  constructor(
    private readonly claim: Claim,
    private readonly jobs: JobRepository,
    private readonly claimed: () => Promise<boolean>,
    private readonly onRefused: () => void,
    private readonly watch?: AttemptWatch,
  ) {}

  /** The bound that the handler passed, even if it caught the error that said so. */
  get breach(): PermanentFailure | undefined {
    return this.#bounds.breach;
  }

  /** @throws PermanentFailure past a bound */
  progress(percent: number, step?: string): void {
    if (this.#closed) return;
    this.#bounds.checkProgress(percent, step);
    this.#progress = step === undefined ? { percent } : { percent, step };
    this.schedule();
  }

  /** @throws PermanentFailure past a bound */
  log(line: string): void {
    if (this.#closed) return;
    this.#bounds.checkLine(line);
    this.#lines.push({ at: new Date(), line });
    this.schedule();
  }

  /** Writes what is left; from now on nothing is taken. Never throws: a report is worth less than its attempt. */
  close(): Promise<void> | undefined {
    this.#closed = true;
    return this.#timer ? this.closeWritten() : undefined;
  }

  private async closeWritten(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    await this.flush();
  }

  private schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#writing = this.flush().finally(() => {
        this.#timer = undefined;
        if (!this.#closed && (this.#progress || this.#lines.length > 0)) this.schedule();
      });
    }, FLUSH_INTERVAL);
  }

  private async flush(): Promise<void> {
    const progress = this.#progress;
    const lines = this.#lines;
    if (!progress && lines.length === 0) return;
    this.#progress = undefined;
    this.#lines = [];

    if (progress) this.watch?.progress(progress);
    if (lines.length > 0) this.watch?.log(lines.map(({ line }) => line));
    const { jobId, token, run, attempt } = this.claim;
    try {
      const taken =
        (await this.claimed()) && (await this.jobs.report({ jobId, token, run, attempt, progress, lines }));
      if (!taken) this.onRefused();
    } catch (error) {
      if (error instanceof RecordUnavailable) {
        this.#progress ??= progress;
        this.#lines = [...lines, ...this.#lines];
      } else {
        logger.error('report not written', { jobId, attempt, error });
      }
    }
  }
}
