import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterThisFile, allEnded, Child, killIfThere, launch } from './child.js';
import { freePort } from './ports.js';
import { AppProcess } from './processes.js';

const READERS = 5;

const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface JobSeen {
  id: string;
  type: string;
  status: string;
  result: unknown;
  attemptsMade: number;
  createdAt: string;
  enqueuedAt: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  attempts: { number: number; outcome: string; error: unknown }[];
}

/** What `npm start` needs and keeps, on a machine that has only Node: a port, and a data folder that outlives its processes. */
export class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), 'jobs-e2e-'));
  readonly dataDir = join(this.folder, 'data');
  private readonly forget = afterThisFile(() => this.remove());

  private constructor(readonly port: number) {}

  static async make(): Promise<Installation> {
    return new Installation(await freePort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts standalone as the leader of a process group of its own, as a shell would. */
  start(env: Record<string, string> = {}): AppProcess {
    const child = launch(process.execPath, [join(repository, 'dist', 'standalone.js')], {
      env: this.environment(env),
      cwd: this.folder,
      detached: true,
    });
    return new AppProcess('standalone', child);
  }

  /** The same in a pseudo-terminal, by any command line; what is typed reaches it as from a keyboard. */
  startInTerminal(command: string, cwd = this.folder): { app: AppProcess; type(keys: string): void } {
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], {
      env: { ...this.environment(), TERM: 'xterm', SHELL: '/bin/sh' },
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const app = new AppProcess(command, new Child(terminal));
    return { app, type: (keys) => terminal.stdin.write(keys) };
  }

  async submit(type: string, data: unknown): Promise<Response> {
    return fetch(`${this.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type, data }),
    });
  }

  /** Returns the ids, in the order in which the jobs were accepted. */
  async submitMany(type: string, count: number, data: unknown): Promise<string[]> {
    const answer = await fetch(`${this.url}/jobs/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jobs: Array.from({ length: count }, () => ({ type, data })) }),
    });
    if (answer.status !== 202) throw new Error(await answer.text());
    return ((await answer.json()) as { items: JobSeen[] }).items.map(({ id }) => id);
  }

  async job(id: string, url = this.url): Promise<JobSeen> {
    const answer = await fetch(`${url}/jobs/${id}`);
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as JobSeen;
  }

  /** A few at a time: more readers than connections would be turned away on a slow machine, and rightly. */
  async jobs(ids: string[], url = this.url): Promise<JobSeen[]> {
    const jobs: JobSeen[] = [];
    for (let at = 0; at < ids.length; at += READERS) {
      jobs.push(...(await Promise.all(ids.slice(at, at + READERS).map((id) => this.job(id, url)))));
    }
    return jobs;
  }

  /** Waits until each of the jobs has looked as wanted, and returns them so. */
  async until(ids: string[], wanted: (job: JobSeen) => boolean, timeoutMs: number): Promise<JobSeen[]> {
    const found = new Map<string, JobSeen>();
    for (const deadline = Date.now() + timeoutMs; ; await sleep(100)) {
      const others = await this.jobs(ids.filter((id) => !found.has(id)));
      for (const job of others) if (wanted(job)) found.set(job.id, job);
      if (found.size === ids.length) return ids.flatMap((id) => found.get(id) ?? []);

      if (Date.now() > deadline) {
        const first = JSON.stringify(others.find((job) => !wanted(job)));
        throw new Error(`only ${found.size} of ${ids.length} so after ${timeoutMs} ms, but: ${first}`);
      }
    }
  }

  /** The processes of this data folder's PostgreSQL: each stands in its cluster. Needs /proc. */
  postgresProcesses(): number[] {
    const cluster = join(realpathSync(this.folder), 'data', 'postgres');
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => folderOf(pid) === cluster);
  }

  postmaster(): number {
    return Number.parseInt(readFileSync(join(this.dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);
  }

  /** Ends a PostgreSQL that is still there, and deletes the folder. */
  async remove(): Promise<void> {
    const left = this.postgresProcesses();
    for (const pid of left) killIfThere(pid);
    await allEnded(left);
    rmSync(this.folder, { recursive: true, force: true });
    this.forget();
  }

  private environment(env: Record<string, string> = {}): NodeJS.ProcessEnv {
    const { PATH, HOME } = process.env;
    return { PATH, HOME, PORT: String(this.port), DATA_DIR: this.dataDir, ...env };
  }
}

/** Whether any process of the group that `leader` led still runs. */
export function groupRuns(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}

function folderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // ended meanwhile, or another user's
  }
}
