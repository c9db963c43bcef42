import { PermanentFailure } from '../job.errors.js';
import { findUnstorable } from '../json-value.js';
import { MAX_LOG_LINE_LENGTH, MAX_LOG_LINES_PER_ATTEMPT, MAX_PROGRESS_STEP_LENGTH } from '../limits.js';

/** What one attempt may report. */
export class ReportBounds {
  #lines = 0;
  #breach?: PermanentFailure;

  /** The bound that the handler passed, even if it caught the error that said so. */
  get breach(): PermanentFailure | undefined {
    return this.#breach;
  }

  /** @throws PermanentFailure past a bound */
  checkProgress(percent: number, step?: string): void {
    if (!Number.isFinite(percent) || percent < 0 || percent > 100) {
      this.refuse('PROGRESS_INVALID', `progress takes 0 to 100 percent, not ${percent}`);
    }
    if (step !== undefined)
      this.check(step, MAX_PROGRESS_STEP_LENGTH, 'PROGRESS_TOO_LONG', 'a progress step');
  }

  /** @throws PermanentFailure past a bound */
  checkLine(line: string): void {
    this.check(line, MAX_LOG_LINE_LENGTH, 'LOG_LINE_TOO_LONG', 'a log line');
    if (++this.#lines > MAX_LOG_LINES_PER_ATTEMPT) {
      this.refuse('TOO_MANY_LOG_LINES', `an attempt may log ${MAX_LOG_LINES_PER_ATTEMPT} lines`);
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
