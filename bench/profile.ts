import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from '../test/support/processes.js';
import { Bench } from './harness/bench.js';
import { summaryOf, type CpuProfile, type Share } from './harness/cpu-profile.js';
import { MAIL, seed } from './harness/jobs.js';
import { load } from './harness/load.js';
import { cpuSeconds, cpuSecondsOfTree } from './harness/processes.js';

const SERVER_SETTINGS = { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'all' };
const PROFILER = new URL('harness/profiler.mjs', import.meta.url).href;
const JOBS = 20_000;
const CONCURRENCY = 100;
/** ms before the worker's profile begins. */
const RUN_IN = 1_500;

/** @returns Markdown: where the time goes while jobs are submitted, and while a worker runs them */
export async function profile(tell: (line: string) => void): Promise<string> {
  const bench = await Bench.open({ quick: false, seconds: 8, warmUp: 3 }, SERVER_SETTINGS);
  const folder = mkdtempSync(join(tmpdir(), 'jobs-profile-'));
  try {
    tell('profile: submitting');
    const submitting = await submitPath(bench, join(folder, 'api.cpuprofile'));
    tell('profile: working');
    const working = await workerPath(bench, join(folder, 'worker.cpuprofile'));
    return [...submitting, ...working].join('\n\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await bench.close();
  }
}

async function submitPath(bench: Bench, file: string): Promise<string[]> {
  await bench.startOver();
  await bench.query('CREATE EXTENSION pg_stat_statements');
  const api = await bench.servePlatform(profiled(file));
  const requests = [{ method: 'POST' as const, path: '/jobs', body: MAIL }];
  const target = { url: api.url, requests, connections: 64 };
  await load(bench, target);

  let client = 0;
  let rate = 0;
  const taken = await watch(bench, api.process, async () => {
    const seen = await load(bench, target, { ...bench.options, warmUp: 0.5 });
    client = seen.cpuSeconds;
    rate = seen.answers / seen.seconds;
  });
  await api.process.stop();
  return [
    '### Submitting',
    `64 connections send one job at a time to the API alone: ${Math.round(rate).toLocaleString('en-US')} jobs a second, with the profiler and \`pg_stat_statements\` on.`,
    processTable({ ...taken.cpu, client }, taken.seconds),
    ...profileOf(file, 'API'),
    taken.statements,
  ];
}

async function workerPath(bench: Bench, file: string): Promise<string[]> {
  await bench.startOver();
  await bench.query('CREATE EXTENSION pg_stat_statements');
  await seed(bench, JOBS);
  const worker = await bench.startWorker({ ...profiled(file), WORKER_CONCURRENCY: String(CONCURRENCY) });
  await sleep(RUN_IN);
  const left = await bench.value<number>('SELECT count(*)::int FROM dispatch');
  const taken = await watch(bench, worker, async () => {
    while (await bench.value<boolean>('SELECT EXISTS (SELECT FROM dispatch)')) await sleep(100);
  });
  await worker.stop();
  return [
    '### Working',
    `A worker with ${CONCURRENCY} at once on jobs that do nothing: ${Math.round(left / taken.seconds).toLocaleString('en-US')} jobs a second, with the profiler and \`pg_stat_statements\` on.`,
    processTable(taken.cpu, taken.seconds),
    ...profileOf(file, 'worker'),
    taken.statements,
  ];
}

function profiled(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import ${PROFILER}`, CPU_PROFILE: file };
}

interface Taken {
  seconds: number;
  /** Seconds of processor time, by process. */
  cpu: Record<string, number>;
  statements: string;
}

/** Profiles a process of the platform while something happens, and counts what every process takes meanwhile. */
async function watch(bench: Bench, app: AppProcess, happen: () => Promise<void>): Promise<Taken> {
  const cpu = (): Record<string, number> => ({
    platform: cpuSeconds(app.pid),
    PostgreSQL: cpuSecondsOfTree(bench.postgres.pid),
    Redis: cpuSeconds(bench.redis.pid),
  });
  await bench.query('SELECT pg_stat_statements_reset()');
  process.kill(app.pid, 'SIGUSR2');
  await app.ready(/^profiling$/m);
  const before = cpu();
  const start = performance.now();
  await happen();
  const seconds = (performance.now() - start) / 1_000;
  const after = cpu();
  process.kill(app.pid, 'SIGUSR2');
  await app.ready(/^profiled$/m);
  return {
    seconds,
    cpu: Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]),
    ),
    statements: await statementTable(bench),
  };
}

function processTable(cpu: Record<string, number>, seconds: number): string {
  const all = Object.values(cpu).reduce((sum, value) => sum + value, 0);
  const rows = Object.entries(cpu).map(
    ([name, taken]) => `| ${name} | ${(taken / seconds).toFixed(2)} | ${percent(taken / all)} |`,
  );
  return `| process | of ${availableParallelism()} cores | of what all took |\n| --- | --- | --- |\n${rows.join('\n')}`;
}

function profileOf(file: string, process: string): string[] {
  const summary = summaryOf(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile);
  return [
    `The ${process}'s main thread was busy for ${percent(summary.busy)} of the time. Of that, by package:`,
    shareTable('package', summary.byModule, 0.01),
    'by function, each by itself:',
    shareTable('function', summary.bySelf.slice(0, 15), 0.005),
    "by the platform's functions, each with all that it calls before it first waits:",
    shareTable('function', summary.byTotal.slice(0, 20), 0.01),
  ];
}

function shareTable(what: string, shares: readonly Share[], least: number): string {
  const rows = shares
    .filter(({ share }) => share >= least)
    .map(({ name, share }) => `| \`${name}\` | ${percent(share)} |`);
  return `| ${what} | share |\n| --- | --- |\n${rows.join('\n')}`;
}

async function statementTable(bench: Bench): Promise<string> {
  const rows = await bench.query<{ query: string; calls: number; rows: number; ms: number; share: number }>(
    `SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 70) AS query, calls::int, rows::int, total_exec_time AS ms,
       total_exec_time / sum(total_exec_time) OVER () AS share
     FROM pg_stat_statements WHERE toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY total_exec_time DESC LIMIT 8`,
  );
  const lines = rows.map(
    ({ query, calls, rows: count, ms, share }) =>
      `| \`${query.replaceAll('|', '\\|')} …\` | ${calls} | ${(count / calls).toFixed(1)} | ${(ms / calls).toFixed(2)} | ${percent(share)} |`,
  );
  return `PostgreSQL's statements, by the time that they took:\n\n| statement | calls | rows a call | ms a call | share |\n| --- | --- | --- | --- | --- |\n${lines.join('\n')}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
