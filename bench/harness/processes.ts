import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { childrenOf } from '../../test/support/child.js';

const TICKS_A_SECOND = 100; // of /proc, on every Linux that people run

/** Memory that a process holds, in MiB (its resident set). */
export function residentMemory(pid: number): number {
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(stdout.trim()) / 1_024;
}

/** Processor time that a process has taken since its start, user and system, in seconds. Needs /proc. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on: see proc(5)
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** The same with its children: of a PostgreSQL server all that it is. */
export function cpuSecondsOfTree(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + cpuSeconds(each), 0);
}
