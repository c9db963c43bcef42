import { Logger } from '@nestjs/common';
import { PermanentFailure, RecordUnavailable } from '../job.errors.js';
import type { Claim, JobRepository } from '../job-repository.js';
import type { JobProgress } from '../job.js';
import { findUnstorable } from '../json-value.js';
import { MAX_LOG_LINE_LENGTH, MAX_LOG_LINES_PER_ATTEMPT, MAX_PROGRESS_STEP_LENGTH } from '../limits.js';

const FLUSH_INTERVAL = 200;

/** Where people watch an attempt beside the record. Best effort. */
export interface AttemptWatch {
  progress(progress: JobProgress): void;
  log(lines: string[]): void;
}

/** What one attempt reports while it runs, written in batches and fenced by its token. */
export class AttemptJournal {
  readonly #logger = new Logger('Job');
  #progress?: JobProgress;
  #lines: { at: Date; line: string }[] = [];
  #count = 0;
  #timer?: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;
  #breach?: PermanentFailure;

  /** @param onRefused the attempt's token is not current any more: whatever it still does is in vain */
  constructor(
    private readonly claim: Claim,
    private readonly jobs: JobRepository,
    private readonly onRefused: () => void,
    private readonly watch?: AttemptWatch,
  ) {}

  /** The bound that the handler passed, even if it caught the error that said so. */
  get breach(): PermanentFailure | undefined {
    return this.#breach;
  }

  /** @throws PermanentFailure past a bound */
  progress(percent: number, step?: string): void {
    if (this.#closed) return;
    if (!Number.isFinite(percent) || percent < 0 || percent > 100) {
      this.refuse('PROGRESS_INVALID', `progress takes 0 to 100 percent, not ${percent}`);
    }
    if (step !== undefined)
      this.check(step, MAX_PROGRESS_STEP_LENGTH, 'PROGRESS_TOO_LONG', 'a progress step');
    this.#progress = step === undefined ? { percent } : { percent, step };
    this.schedule();
  }

  /** @throws PermanentFailure past a bound */
  log(line: string): void {
    if (this.#closed) return;
    this.check(line, MAX_LOG_LINE_LENGTH, 'LOG_LINE_TOO_LONG', 'a log line');
    if (++this.#count > MAX_LOG_LINES_PER_ATTEMPT) {
      this.refuse('TOO_MANY_LOG_LINES', `an attempt may log ${MAX_LOG_LINES_PER_ATTEMPT} lines`);
    }
    this.#lines.push({ at: new Date(), line });
    this.schedule();
  }

  /** Writes what is left; from now on nothing is taken. Never throws: a report is worth less than its attempt. */
  async close(): Promise<void> {
    this.#closed = true;
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
      const taken = await this.jobs.report({ jobId, token, run, attempt, progress, lines });
      if (!taken) this.onRefused();
    } catch (error) {
      if (error instanceof RecordUnavailable) {
        this.#progress ??= progress;
        this.#lines = [...lines, ...this.#lines];
      } else {
        this.#logger.error('report not written', { jobId, attempt, error });
      }
    }
  }

  private check(text: string, longest: number, code: string, what: string): void {
    if (text.length > longest)
      this.refuse(code, `${what} of ${text.length} characters is longer than ${longest}`);
    const flaw = findUnstorable(text, what);
    if (flaw) this.refuse('TEXT_INVALID', `${flaw.path}: ${flaw.message}`);
  }

  private refuse(code: string, message: string): never {
    this.#breach ??= new PermanentFailure(message, code);
    throw this.#breach;
  }
}
