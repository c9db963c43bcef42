import { Logger } from '@nestjs/common';
import { Worker } from 'node:worker_threads';
import type { JobContext } from '../job-types/job-type.js';
import type { JobError, Json } from '../jobs/job.js';
import { FailedElsewhere } from '../jobs/running/attempt-outcome.js';
import { AttemptAborted } from '../jobs/running/running-jobs.js';
import { deathBy } from './thread-death.js';
import { ABORT_CAUSES, type FromThread, type ThreadData, type ToThread } from './thread-messages.js';
import type { PooledThread } from './thread-pool.js';

/** How long a thread may take to start, and to close, in ms. */
const LONGEST_START = 60_000;
const LONGEST_CLOSE = 1_000;
/** What a handler gets to react to its signal before its thread is ended under it, in ms. */
export const ABORT_GRACE = 1_000;

interface Run {
  context: JobContext;
  resolve: (result: unknown) => void;
  reject: (error: FailedElsewhere) => void;
}

/** One thread of the sandbox, as the main loop sees it. */
export class SandboxThread implements PooledThread {
  readonly #logger = new Logger('Sandbox');
  readonly #exited: Promise<void>;
  readonly #ready: Promise<void>;
  #ended = false;
  #death?: JobError;
  #number = 0;
  #run?: Run;
  #expected = false;

  private constructor(private readonly worker: Worker) {
    worker.on('error', (thrown: unknown) => (this.#death = deathBy(thrown)));
    this.#exited = new Promise((resolve) => worker.once('exit', (code) => resolve(this.exit(code))));
    this.#ready = this.readiness();
  }

  /** @param memory of its heap, in MB @throws Error where it does not start, with the reason */
  static async start(data: ThreadData, memory: number): Promise<SandboxThread> {
    const worker = new Worker(new URL('./thread-entry.js', import.meta.url), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: memory },
    });
    const thread = new SandboxThread(worker);
    await thread.#ready;
    return thread;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Runs one attempt; the thread must have none. What its signal tells is passed on, and where the handler does not heed
   * it, the thread is ended.
   * @throws FailedElsewhere with the attempt's outcome
   */
  async run(type: string, data: Json, context: JobContext): Promise<unknown> {
    if (this.#ended) throw new FailedElsewhere({ kind: 'failed', permanent: false, error: this.death(0) });
    const run = ++this.#number;
    const abort = new Int32Array(new SharedArrayBuffer(4));
    const { jobId, tenant, run: jobRun, attempt, attempts, signal } = context;
    const values = { jobId, tenant, run: jobRun, attempt, attempts };
    let killer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      const why = signal.reason instanceof AttemptAborted ? signal.reason.why : 'lease lost';
      Atomics.store(abort, 0, ABORT_CAUSES.indexOf(why) + 1);
      this.tell({ kind: 'abort', run });
      // At shutdown it has until its process's patience ends: then `kill` is called.
      if (why !== 'shutdown') killer = setTimeout(() => void this.kill(), ABORT_GRACE);
    };
    const ending = new Promise<unknown>((resolve, reject) => (this.#run = { context, resolve, reject }));
    this.tell({ kind: 'run', run, type, data, context: values, abort });
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      return await ending;
    } finally {
      clearTimeout(killer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Ends it whatever it does. Code that waits in the system, such as execSync, holds it until that returns. */
  async kill(): Promise<void> {
    if (!this.#ended && !this.#expected)
      this.#logger.warn('thread stopped', { reason: 'the handler goes on' });
    await this.terminate();
  }

  /** Lets its providers close. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#expected = true;
    this.tell({ kind: 'close' });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_CLOSE)));
    await Promise.race([this.#exited, late]);
    clearTimeout(timer);
    await this.terminate();
  }

  private async readiness(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<FromThread>((resolve, reject) => {
      this.worker.once('message', resolve);
      void this.#exited.then(() => reject(new Error(this.death(0).message)));
      timer = setTimeout(() => reject(new Error(`it took over ${LONGEST_START} ms`)), LONGEST_START);
    });
    try {
      const first = await answer;
      if (first.kind === 'unusable') throw new Error(first.reason);
      this.worker.on('message', (message: FromThread) => this.hear(message));
    } catch (error) {
      void this.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private hear(message: FromThread): void {
    const current = this.#run;
    if (!current || !('run' in message) || message.run !== this.#number) return;
    switch (message.kind) {
      case 'progress':
        return unlessPastBounds(() => current.context.progress(message.percent, message.step));
      case 'log':
        return unlessPastBounds(() => current.context.log(message.line));
      case 'done':
        this.#run = undefined;
        return current.resolve(message.result);
      case 'failed':
        this.#run = undefined;
        return current.reject(new FailedElsewhere(message.outcome));
    }
  }

  private exit(code: number): void {
    this.#ended = true;
    const error = this.death(code);
    const current = this.#run;
    this.#run = undefined;
    if (current) current.reject(new FailedElsewhere({ kind: 'failed', permanent: false, error }));
    if (!current && !this.#expected) this.#logger.warn('thread ended', { reason: error.message });
  }

  private async terminate(): Promise<void> {
    this.#expected = true;
    await this.worker.terminate();
  }

  private death(code: number): JobError {
    if (this.#death) return this.#death;
    const message = this.#expected
      ? 'The thread was ended, since the handler did not stop'
      : `The handler's thread ended with exit code ${code}`;
    return { code: 'SANDBOX_EXITED', message };
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }
}

/** The thread has checked it. Where the journal says otherwise it remembers, and the attempt fails for it. */
function unlessPastBounds(report: () => void): void {
  try {
    report();
  } catch {
    // see above
  }
}
