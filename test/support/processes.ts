import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, launch } from './child.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const started = new Set<AppProcess>();

type EntryPoint = 'main' | 'worker' | 'dashboard' | 'standalone' | 'migrate' | 'set-topology';

export interface ProcessOptions {
  /** As it is shipped, or by its modules whatever is bundled. */
  entry: EntryPoint | `entries/${EntryPoint}`;
  /** All that the process sees, besides PATH and HOME. */
  env: Record<string, string>;
  cwd?: string;
  args?: string[];
}

/** Runs `dist/<entry>.js` as a process of its own. `npm run build` must have run. */
export function startProcess({ entry, env, cwd = repository, args = [] }: ProcessOptions): AppProcess {
  const child = launch(process.execPath, [join(repository, 'dist', `${entry}.js`), ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    cwd,
  });
  const app = new AppProcess(entry, child);
  started.add(app);
  void child.exited.then(() => started.delete(app));
  return app;
}

/** Kills every process from `startProcess` that still runs. */
export async function stopAll(): Promise<void> {
  await Promise.all([...started].map((app) => app.kill()));
}

/** One process of the platform, as a test handles it. */
export class AppProcess {
  constructor(
    private readonly entry: string,
    private readonly child: Child,
  ) {}

  get pid(): number {
    return this.child.pid;
  }

  /** The exit code once it has ended; null when a signal ended it. */
  get exited(): Promise<number | null> {
    return this.child.exited;
  }

  /** All that it wrote to standard output and standard error. */
  output(): string {
    return this.child.output();
  }

  /** Waits until the output matches; fails when the process ends first or `timeoutMs` pass. */
  async ready(pattern: RegExp, timeoutMs = 60_000): Promise<RegExpMatchArray> {
    const deadline = Date.now() + timeoutMs;

    for (;;) {
      const match = this.output().match(pattern);
      if (match) return match;
      if (!this.child.running) throw this.failure(`ended before it wrote ${String(pattern)}`);
      if (Date.now() > deadline) throw this.failure(`did not write ${String(pattern)} in ${timeoutMs} ms`);
      await this.child.exitsWithin(25);
    }
  }

  /** Asks it to end and returns its exit code; a process still there after `timeoutMs` is killed and fails the call. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 30_000): Promise<number | null> {
    this.child.signal(signal);
    if (await this.child.exitsWithin(timeoutMs)) return this.child.exited;

    await this.kill();
    throw this.failure(`still ran ${timeoutMs} ms after ${signal}`);
  }

  async kill(): Promise<void> {
    await this.child.end();
  }

  pause(): void {
    this.child.signal('SIGSTOP');
  }

  resume(): void {
    this.child.signal('SIGCONT');
  }

  private failure(what: string): Error {
    return new Error(`${this.entry} ${what}. Its output:\n${this.output().slice(-4_000)}`);
  }
}
