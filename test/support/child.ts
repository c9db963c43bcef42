import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

declare global {
  /** What test/support/environment.mjs calls after a test file. */
  var cleanups: Set<() => Promise<void>> | undefined;
}

/** Has `cleanup` called when the test file has ended, in case the test does not get to it; returns how to call that off. */
export function afterThisFile(cleanup: () => Promise<void>): () => void {
  const cleanups = (globalThis.cleanups ??= new Set());
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

export interface LaunchOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Run as this user; only root may. */
  user?: { uid: number; gid: number };
  /** Let that user read files which only root may reach (needs `setpriv`). */
  readAnything?: boolean;
  /** A process group of its own, so that Ctrl-C in the terminal does not reach it. */
  detached?: boolean;
}

/** One process started by a test: its output, its exit, and signals to it alone. */
export class Child {
  /** The exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  private text = '';

  constructor(private readonly process: ChildProcess) {
    this.exited = new Promise((resolve) => {
      process.once('close', (code) => resolve(code));
      process.once('error', (error) => {
        this.text += String(error);
        resolve(null);
      });
    });
    process.stdout?.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    process.stderr?.on('data', (chunk: Buffer) => (this.text += chunk.toString()));

    const forget = afterThisFile(() => this.end());
    void this.exited.then(forget);
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error(`process did not start: ${this.text}`);
    return this.process.pid;
  }

  /** True until the process has ended. */
  get running(): boolean {
    return (
      this.process.pid !== undefined && this.process.exitCode === null && this.process.signalCode === null
    );
  }

  /** Everything written so far, to standard output and standard error. */
  output(): string {
    return this.text;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.process.kill(signal);
  }

  /** Kills the process, and waits until it is gone. */
  async end(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Waits for the exit, at most `ms`; true when it came. */
  async exitsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
    const exited = await Promise.race([this.exited.then(() => true as const), late]);
    clearTimeout(timer);
    return exited;
  }
}

/** Starts a process that dies with this one where the system can arrange it, even if this one is killed. */
export function launch(command: string, args: string[], options: LaunchOptions = {}): Child {
  const { env, cwd, user, detached } = options;
  const wrapper = setprivArguments(options);
  const [file, ...rest] = wrapper ? ['setpriv', ...wrapper, command, ...args] : [command, ...args];

  return new Child(
    spawn(file, rest, {
      env: env ?? process.env,
      cwd,
      detached,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(wrapper ? {} : user),
    }),
  );
}

function setprivArguments({ user, readAnything }: LaunchOptions): string[] | undefined {
  if (!setprivKnowsDeathSignal()) {
    if (readAnything)
      throw new Error('install setpriv (util-linux 2.33 or newer), or run the tests as an ordinary user');
    return undefined;
  }
  return [
    // An interrupt: PostgreSQL and Redis shut down on it, and a Node process too.
    '--pdeathsig=INT',
    ...(user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []),
    ...(readAnything ? readAnythingArguments : []),
  ];
}

const readAnythingArguments = [
  '--inh-caps=+dac_override',
  '--ambient-caps=+dac_override',
  '--securebits=+no_setuid_fixup', // else access(2), by which initdb looks for its binaries, ignores the capability
];

let deathSignal: boolean | undefined;

function setprivKnowsDeathSignal(): boolean {
  deathSignal ??= spawnSync('setpriv', ['--pdeathsig=INT', 'true']).status === 0;
  return deathSignal;
}

/** The direct children of a process started here. */
export function childrenOf(pid: number): number[] {
  return processTable().flatMap((entry) => (entry.parent === pid ? [entry.pid] : []));
}

export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // already gone
  }
}

/** Waits until none of the processes runs any more. */
export async function allEnded(pids: number[], timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (processTable().some(({ pid }) => pids.includes(pid))) {
    if (Date.now() > deadline) throw new Error(`still running after ${timeoutMs} ms: ${pids.join(', ')}`);
    await sleep(10);
  }
}

/** What runs now. Zombies are left out: they hold nothing, and in a container nobody may ever reap them. */
function processTable(): { pid: number; parent: number }[] {
  const lines = existsSync('/proc/self/stat') ? linesFromProc() : linesFromPs();

  return lines.flatMap(([pid, state, parent]) =>
    state?.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent) }],
  );
}

function linesFromProc(): string[][] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return [[pid, ...stat.slice(stat.lastIndexOf(')') + 2).split(' ')]]; // pid (any name) state parent …
      } catch {
        return []; // ended meanwhile
      }
    });
}

function linesFromPs(): string[][] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,state=,ppid='], { encoding: 'utf8' });
  return stdout.split('\n').map((line) => line.trim().split(/\s+/));
}
