import cluster, { type Worker as Process } from 'node:cluster';
import type { AppConfig } from '../config/app-config.js';
import { AppLogger } from '../logging/app-logger.js';

/** A process that keeps dying is replaced after so long (ms), twice as long each time; one that came up ends that. */
const REPLACED_AFTER = { first: 500, longest: 30_000 };

const UP = 'up';

/** Whether this process only watches over those that do the work: PROCESSES of them, of the same entry point. */
export function isSupervisor({ processes }: Pick<AppConfig, 'processes'>): boolean {
  return processes > 1 && cluster.isPrimary;
}

/** To be called by a process that is up. From now on it drains, too, when the one that watches over it is gone. */
export function tellUp(): void {
  const { worker } = cluster;
  if (!worker) return;
  worker.exitedAfterDisconnect = true; // else Node ends the process at once
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.send?.(UP);
}

/**
 * Starts the processes, and replaces one that dies. The first must be up before the others are started: what is wrong
 * with the configuration or a store is so told once, and ends it all with exit code 1. A signal is passed on, and the
 * last process takes this one with it.
 */
export function supervise(config: Pick<AppConfig, 'processes' | 'log'>): void {
  new Supervisor(config).start();
}

class Supervisor {
  readonly #processes = new Set<Process>();
  readonly #waiting = new Set<NodeJS.Timeout>();
  readonly #logger: AppLogger;
  #pause = REPLACED_AFTER.first;
  #isUp = false;
  #closing = false;
  #code = 0;

  constructor(private readonly config: Pick<AppConfig, 'processes' | 'log'>) {
    this.#logger = new AppLogger(config.log);
  }

  start(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => this.close(signal));
    process.stdout.on('error', () => undefined); // a terminal that is gone must not end what is draining
    this.fork();
  }

  private fork(): void {
    const child = cluster.fork();
    let up = false;
    this.#processes.add(child);
    child.on('message', (message: unknown) => {
      if (message !== UP) return;
      up = true;
      this.came();
    });
    child.on('error', () => {
      if (child.process.pid === undefined) this.gone(child, false, 1, null); // what was not started does not exit
    });
    child.once('exit', (code: number | null, signal: string | null) => this.gone(child, up, code, signal));
  }

  private came(): void {
    this.#pause = REPLACED_AFTER.first;
    if (this.#isUp) return;
    this.#isUp = true;
    for (let count = this.#processes.size; count < this.config.processes && !this.#closing; count++)
      this.fork();
  }

  private gone(child: Process, up: boolean, code: number | null, signal: string | null): void {
    this.#processes.delete(child);
    if (this.#closing || !this.#isUp) {
      const passedOn = this.#closing && !up && signal !== null; // it was too young to close in order
      this.#code = Math.max(this.#code, passedOn ? 0 : (code ?? 1));
      if (this.#processes.size === 0) process.exit(this.#code);
      return;
    }

    const facts = { pid: child.process.pid, code, signal, replacedInMs: this.#pause };
    this.#logger.warn({ msg: up ? 'a process died' : 'a process did not come up', ...facts }, 'Processes');
    const timer = setTimeout(() => {
      this.#waiting.delete(timer);
      this.fork();
    }, this.#pause);
    this.#waiting.add(timer);
    this.#pause = Math.min(this.#pause * 2, REPLACED_AFTER.longest);
  }

  /** The processes have deadlines of their own, and a second signal ends them at once. */
  private close(signal: NodeJS.Signals): void {
    this.#closing = true;
    for (const timer of this.#waiting) clearTimeout(timer);
    if (this.#processes.size === 0) process.exit(this.#code);
    for (const child of this.#processes) child.process.kill(signal);
  }
}
