import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { TooManyWatchers } from '../job.errors.js';
import { JobRepository, type JobPulse } from '../job-repository.js';

const INTERVAL = 200;
/** Of all who wait in a process. */
const MOST_LOOKS = 5_000;
/** Jobs that one query asks for. */
const BATCH = 1_000;

type Look = (pulse: JobPulse) => void;

/** Looks at jobs for all who wait for them in this process: one query a turn, however many they are. */
@Injectable()
export class JobWatcher implements BeforeApplicationShutdown {
  readonly #looks = new Map<string, Set<Look>>();
  readonly #closing = new AbortController();
  #count = 0;
  #timer?: NodeJS.Timeout;
  #turning?: Promise<void>;

  constructor(private readonly jobs: JobRepository) {}

  /** Aborted when the process ends: nobody is to wait any longer. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#turning;
  }

  /**
   * What becomes of a job: how it stands now, then each change. Changes that come faster than they are taken are taken as
   * one. Ends with the signal, and with the process.
   * @throws TooManyWatchers
   */
  async *follow(id: string, signal: AbortSignal): AsyncGenerator<JobPulse, void, void> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    let latest: JobPulse | undefined;
    let wake = (): void => undefined;
    const stop = this.watch(id, (pulse) => {
      latest = pulse;
      wake();
    });
    ended.addEventListener('abort', () => wake());
    try {
      while (!ended.aborted) {
        if (latest) {
          const pulse = latest;
          latest = undefined;
          yield pulse;
        } else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  }

  /** One look at all that is waited for. Exposed for tests. */
  async turn(): Promise<void> {
    const ids = [...this.#looks.keys()];
    for (let start = 0; start < ids.length; start += BATCH) {
      const pulses = await this.jobs.pulses(ids.slice(start, start + BATCH)).catch(() => []);
      for (const pulse of pulses) for (const look of this.#looks.get(pulse.id) ?? []) look(pulse);
    }
  }

  private watch(id: string, onChange: Look): () => void {
    if (this.#count >= MOST_LOOKS) throw new TooManyWatchers();
    let known = '';
    const look: Look = (pulse) => {
      const seen = JSON.stringify(pulse);
      if (seen === known) return;
      known = seen;
      onChange(pulse);
    };
    const looks = this.#looks.get(id) ?? new Set();
    this.#looks.set(id, looks.add(look));
    this.#count++;
    this.schedule(0);
    return () => {
      this.#count--;
      looks.delete(look);
      if (looks.size === 0) this.#looks.delete(id);
    };
  }

  private schedule(delay: number): void {
    if (this.#timer || this.#looks.size === 0 || this.closing.aborted) return;
    this.#timer = setTimeout(() => {
      this.#turning = this.turn().finally(() => {
        this.#timer = undefined;
        this.schedule(INTERVAL);
      });
    }, delay);
  }
}
