import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { chownSync, lchownSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StandaloneError } from './standalone-error.js';

interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Who runs PostgreSQL. An ordinary user runs it as themselves; root, which PostgreSQL refuses, lends it to the
 * owner of the existing cluster, else to `postgres`, else to `nobody`.
 */
export class ServerAccount {
  private constructor(
    private readonly identity?: Identity,
    private readonly prefix: readonly string[] = [],
  ) {}

  /**
   * @param cluster the PostgreSQL folder, which may not exist yet, inside the data folder, which does
   * @param program a PostgreSQL program that the account must be able to run
   */
  static choose(cluster: string, program: string): ServerAccount {
    if (process.geteuid?.() !== 0) return new ServerAccount();

    const identity = ownerOf(cluster) ?? systemUser();
    const unreachable = [program, dirname(cluster)].find((path) => !canReach(identity, path));
    return unreachable === undefined
      ? new ServerAccount(identity)
      : new ServerAccount(identity, pastClosedFolders(identity, unreachable, program));
  }

  /** Gives a file, or a folder with all it holds, to the account. */
  own(path: string): void {
    const { identity } = this;
    if (!identity) return;
    if (statSync(path).isDirectory()) {
      for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
        lchownSync(join(path, entry), identity.uid, identity.gid);
      }
    }
    chownSync(path, identity.uid, identity.gid);
  }

  spawn(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const [command = program, ...rest] = [...this.prefix, program, ...args];
    // setpriv needs root to change to the account by itself.
    const { uid, gid } = (this.prefix.length === 0 && this.identity) || {};
    // A group of its own, which Ctrl-C in the terminal does not reach. The account may not be allowed into this
    // process's folder.
    return spawn(command, rest, { cwd: '/', windowsHide: true, detached: true, ...options, uid, gid });
  }

  /** Runs a program to its end. Rejects when it cannot be started at all. */
  run(program: string, args: readonly string[], options: SpawnOptions = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const child = this.spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      const collect = (chunk: Buffer) => (output += chunk.toString());
      child.stdout?.on('data', collect);
      child.stderr?.on('data', collect);
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
  }
}

/** Keeping the owner keeps the folder usable for whoever started without root before. */
function ownerOf(cluster: string): Identity | undefined {
  const stats = statSync(cluster, { throwIfNoEntry: false });
  if (!stats || stats.uid === 0) return undefined;
  return { name: `user ${stats.uid}`, uid: stats.uid, gid: stats.gid };
}

function systemUser(): Identity {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const entry = users.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (entry) return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return { name: 'user 65534', uid: 65_534, gid: 65_534 };
}

/** Judged by mode bits: the account may pass every folder above, and pass or run the path itself. */
function canReach(identity: Identity, path: string): boolean {
  const passable = (step: string) => {
    const { uid, gid, mode } = statSync(step);
    if (uid === identity.uid) return (mode & 0o100) !== 0;
    return (mode & (gid === identity.gid ? 0o010 : 0o001)) !== 0;
  };
  let step = realpathSync(path);
  while (passable(step)) {
    if (step === dirname(step)) return true;
    step = dirname(step);
  }
  return false;
}

/** A project under /root is closed to every other user; setpriv hands the account that one right, and no other. */
function pastClosedFolders({ name, uid, gid }: Identity, unreachable: string, program: string): string[] {
  const rights = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  // initdb looks for its programs with access(2), which ignores the right of an ordinary user without this bit.
  const counted = '--securebits=+no_setuid_fixup';
  const prefix = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...rights, counted, '--'];

  const { status } = spawnSync('setpriv', [...prefix.slice(1), program, '--version'], { cwd: '/' });
  if (status === 0) return prefix;
  throw new StandaloneError(
    `PostgreSQL does not run as root, and ${name} cannot reach ${unreachable}: start as another user, move it to an open folder, or set DATABASE_URL`,
  );
}
