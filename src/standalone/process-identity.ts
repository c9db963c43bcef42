import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { errorCode } from './error-code.js';

const hasProc = existsSync('/proc/self/stat');

/** True while the process does work: a zombie that nobody reaped counts as gone. */
export function isAlive(pid: number): boolean {
  if (hasProc) return !['Z', 'X', undefined].includes(statFields(pid)?.[0]);

  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Tells a process from a later one with the same pid; undefined where the system does not say. */
export function birthMark(pid: number): string | undefined {
  if (!hasProc) return ps(pid, 'lstart=');

  const startedAtTick = statFields(pid)?.[19];
  // Ticks count from boot, so the same pid at the same tick of another boot must differ.
  return startedAtTick && `${startedAtTick}@${read('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}`;
}

/** The command line as one string, arguments parted by spaces; undefined where the system does not say. */
export function commandLine(pid: number): string | undefined {
  return hasProc ? read(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() : ps(pid, 'command=');
}

/** The folder a process stands in; undefined where the system does not say. */
export function workingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** Fields of /proc/<pid>/stat from the third on: the second, the name, may hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function ps(pid: number, column: string): string | undefined {
  try {
    const args = ['-o', column, '-p', String(pid)];
    // A start time must read the same whatever language and time zone the asking process has.
    const env = { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' };
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env }).trim();
  } catch {
    return undefined;
  }
}
