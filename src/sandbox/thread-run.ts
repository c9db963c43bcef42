import { SettlementEffect } from '../job-types/settlement-effect.js';
import { PermanentFailure } from '../jobs/job.errors.js';
import { outcomeOfError, outcomeOfResult } from '../jobs/running/attempt-outcome.js';
import { ReportBounds } from '../jobs/running/report-bounds.js';
import { AttemptAborted } from '../jobs/running/running-jobs.js';
import type { ThreadHandlers } from './thread-handlers.js';
import { ABORT_CAUSES, type FromThread, type ToThread } from './thread-messages.js';

/** Between two messages of progress, in ms: a handler that reports in a tight loop must not flood the main loop. */
const PROGRESS_INTERVAL = 50;

/** One attempt, inside the thread. What it reports and how it ends is judged here, before anything crosses. */
export class ThreadRun {
  readonly #bounds = new ReportBounds();
  readonly #controller = new AbortController();
  #progress?: FromThread;
  #toldAt = -PROGRESS_INTERVAL;
  #timer?: NodeJS.Timeout;

  constructor(
    private readonly order: Extract<ToThread, { kind: 'run' }>,
    private readonly tell: (message: FromThread) => void,
  ) {
    this.watchWhileComputing();
  }

  async execute(handlers: Pick<ThreadHandlers, 'run'>): Promise<void> {
    const end = await this.outcome(handlers);
    this.tellProgress();
    try {
      this.tell(end);
    } catch (error) {
      // Passed the check for JSON and still cannot be cloned: an object with a will of its own, such as a proxy.
      this.tell(this.failed(new PermanentFailure(`result: ${messageOf(error)}`, 'RESULT_INVALID')));
    }
  }

  /** @param run may be an earlier one, whose message came late */
  abort(run: number): void {
    if (run === this.order.run) this.heed();
  }

  private async outcome(handlers: Pick<ThreadHandlers, 'run'>): Promise<FromThread> {
    const { run, type, data, context } = this.order;
    try {
      const result = await handlers.run(type, data, {
        ...context,
        signal: this.#controller.signal,
        progress: (percent, step) => this.progress(percent, step),
        log: (line) => this.log(line),
      });
      if (this.#bounds.breach) throw this.#bounds.breach;
      if (result instanceof SettlementEffect) {
        throw new PermanentFailure('a sandboxed type cannot return inSettlement(…)', 'RESULT_INVALID');
      }
      const outcome = outcomeOfResult(result);
      return outcome.kind === 'failed' ? { kind: 'failed', run, outcome } : { kind: 'done', run, result };
    } catch (error) {
      return this.failed(this.#bounds.breach ?? error);
    }
  }

  private failed(thrown: unknown): FromThread {
    return { kind: 'failed', run: this.order.run, outcome: outcomeOfError(thrown) };
  }

  private progress(percent: number, step?: string): void {
    this.#bounds.checkProgress(percent, step);
    this.#progress = { kind: 'progress', run: this.order.run, percent, step };
    const wait = this.#toldAt + PROGRESS_INTERVAL - performance.now();
    if (wait <= 0) this.tellProgress();
    else this.#timer ??= setTimeout(() => this.tellProgress(), wait);
  }

  private tellProgress(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#progress) return;
    this.tell(this.#progress);
    this.#progress = undefined;
    this.#toldAt = performance.now();
  }

  private log(line: string): void {
    this.#bounds.checkLine(line);
    this.tell({ kind: 'log', run: this.order.run, line });
  }

  private heed(): void {
    const cause = ABORT_CAUSES[Atomics.load(this.order.abort, 0) - 1];
    if (cause) this.#controller.abort(new AttemptAborted(cause)); // a second abort does nothing
  }

  /** A loop that never waits gets no message, but it can ask its signal: this makes the answer true. */
  private watchWhileComputing(): void {
    const { signal } = this.#controller;
    const native = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted');
    Object.defineProperties(signal, {
      aborted: { get: () => (this.heed(), native?.get?.call(signal) as boolean) },
      throwIfAborted: {
        value: () => {
          if (signal.aborted) throw signal.reason;
        },
      },
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
