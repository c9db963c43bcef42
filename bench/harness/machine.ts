import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a figure depends on, besides the code. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  system: string;
  node: string;
  postgres: string;
  redis: string;
  packages: Record<string, string>;
  /** Processes that wanted to run in the minute before the bench. */
  load: number;
  /** The last commit that changed the platform itself. */
  source: string;
  date: string;
}

export async function describeMachine(bench: Bench): Promise<Machine> {
  const { dependencies } = JSON.parse(readFileSync(`${root}/bench/package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version.slice(1),
    postgres: (await bench.value<string>('SHOW server_version')).split(' ')[0] ?? '',
    redis: await bench.redisVersion(),
    packages: { ...dependencies, '@nestjs/core': versionOf('@nestjs/core'), typeorm: versionOf('typeorm') },
    load: loadavg()[0] ?? 0,
    source: git('log', '-1', '--format=%h', '--', 'src'),
    date: new Date().toISOString().slice(0, 10),
  };
}

function versionOf(name: string): string {
  const manifest = readFileSync(`${root}/node_modules/${name}/package.json`, 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
