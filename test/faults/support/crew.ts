import { setTimeout as sleep } from 'node:timers/promises';
import type { TestPlatform } from '../../support/platform.js';
import type { AppProcess } from '../../support/processes.js';

type Env = Record<string, string>;

/** A place in an installation: one process at a time, started again where the last one was, as an orchestrator would. */
export class Post {
  #process: AppProcess | undefined;
  #closed = false;
  /** How many processes have stood here. */
  started = 0;

  private constructor(
    readonly name: string,
    /** Where an API listens; empty for a worker. */
    readonly url: string,
    private readonly start: (env: Env) => Promise<AppProcess>,
  ) {}

  /** @param port where it listens, one process after the other @param env for each of them */
  static api(platform: TestPlatform, name: string, port: number, env: Env): Post {
    return new Post(name, `http://127.0.0.1:${port}`, async (more) => {
      return (await platform.startApi({ ...env, ...more }, port)).process;
    });
  }

  static worker(platform: TestPlatform, name: string, env: Env): Post {
    return new Post(name, '', (more) => platform.startWorker({ ...env, ...more }));
  }

  get process(): AppProcess {
    if (!this.#process) throw new Error(`${this.name} was never started`);
    return this.#process;
  }

  /** Starts a process where there is none. @param env for this one alone */
  async fill(env: Env = {}): Promise<void> {
    if (this.#closed) throw new Error('the scenario is over');
    this.started++;
    this.#process = await this.start(env);
  }

  /** SIGKILL, and a new process. */
  async crash(env: Env = {}): Promise<void> {
    await this.process.kill();
    await this.fill(env);
  }

  /** SIGTERM, and a new process. @returns the exit code of the old one */
  async roll(env: Env = {}): Promise<number | null> {
    const code = await this.process.stop('SIGTERM', 20_000);
    await this.fill(env);
    return code;
  }

  /** Whether the process ends by itself within `ms`. */
  async endsWithin(ms: number): Promise<boolean> {
    return Promise.race([
      this.process.exited.then(() => true),
      sleep(ms, false, { ref: false }), //
    ]);
  }

  /** Waits for the process to end by itself, and starts the next one. */
  async succeed(env: Env = {}): Promise<void> {
    await this.process.exited;
    await this.fill(env);
  }

  /** Starts a new process whenever the last one has ended, until the scenario is over. */
  supervise(): void {
    void (async () => {
      while (!this.#closed) await this.succeed();
    })().catch(() => undefined);
  }

  /** No process is started here any more. */
  close(): void {
    this.#closed = true;
  }
}
