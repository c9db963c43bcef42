import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from '../test/support/processes.js';
import { Bench } from './harness/bench.js';
import { type CpuProfile, summaryOf } from './harness/cpu-profile.js';
import { MAIL, seed } from './harness/jobs.js';
import { load } from './harness/load.js';
import { cpuSeconds, cpuSecondsOfTree } from './harness/processes.js';
import { type ServerWatch, WATCHED_SETTINGS, watchServers } from './harness/server-watch.js';

const PROFILER = new URL('harness/profiler.mjs', import.meta.url).href;
const JOBS = 120_000;
const CONCURRENCY = 100;
/** ms before the worker's profile begins. */
const RUN_IN = 2_000;

/** What every process did while jobs were submitted, or run. */
interface Profiled extends ServerWatch {
  seconds: number;
  /** Seconds of processor time, by process. */
  cpu: Record<string, number>;
  profile: CpuProfile;
}

/** @returns Markdown: where the time goes while jobs are submitted, and while a worker runs them */
export async function profile(tell: (line: string) => void): Promise<string> {
  const bench = await Bench.open({ quick: false, seconds: 8, warmUp: 3 }, WATCHED_SETTINGS);
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
  const api = await bench.servePlatform(profilerFor(file));
  const requests = [{ method: 'POST' as const, path: '/jobs', body: MAIL }];
  const target = { url: api.url, requests, connections: 64 };
  await load(bench, target);

  let client = 0;
  let jobs = 0;
  let rate = 0;
  const seen = await profiled(bench, api.process, file, async () => {
    const {
      answers,
      answersBefore,
      seconds,
      cpuSeconds: taken,
    } = await load(bench, target, {
      seconds: bench.options.seconds,
      warmUp: 0.5,
    });
    client = taken;
    jobs = answers + answersBefore;
    rate = answers / seconds;
  });
  await api.process.stop();
  return [
    '### Submitting',
    `64 connections send one job at a time to the API alone: ${count(rate)} jobs a second with the profiler on.`,
    processTable({ ...seen.cpu, client }, seen.seconds),
    ...mainThread('API', seen.profile),
    ...servers(seen, jobs),
  ];
}

async function workerPath(bench: Bench, file: string): Promise<string[]> {
  await bench.startOver();
  await bench.query('CREATE EXTENSION pg_stat_statements');
  await seed(bench, JOBS);
  const env = { ...profilerFor(file), WORKER_CONCURRENCY: String(CONCURRENCY) };
  const worker = await bench.startWorker(env);
  await sleep(RUN_IN);
  let jobs = 0;
  const seen = await profiled(bench, worker, file, async () => {
    jobs = await bench.value<number>('SELECT count(*)::int FROM dispatch');
    while (await bench.value<boolean>('SELECT EXISTS (SELECT FROM dispatch)')) await sleep(100);
  });
  await worker.stop();

  const rate = jobs / seen.seconds;
  const held = await bench.value<number>(
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at) * 1000)::float8 FROM jobs`,
  );
  return [
    '### Working',
    `A worker with ${CONCURRENCY} at once on jobs that do nothing: ${count(rate)} jobs a second with the profiler on. So a job has its slot for ${((CONCURRENCY / rate) * 1_000).toFixed(1)} ms; from its claim to its settlement, by the record, pass ${held.toFixed(1)} ms of them (median).`,
    processTable(seen.cpu, seen.seconds),
    ...mainThread('worker', seen.profile),
    ...servers(seen, jobs),
  ];
}

function profilerFor(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import ${PROFILER}`, CPU_PROFILE: file };
}

/** @param app runs with the profiler, which writes `file` */
async function profiled(
  bench: Bench,
  app: AppProcess,
  file: string,
  happen: () => Promise<void>,
): Promise<Profiled> {
  const processorTime = (): Record<string, number> => ({
    platform: cpuSeconds(app.pid),
    PostgreSQL: cpuSecondsOfTree(bench.postgres.pid),
    Redis: cpuSeconds(bench.redis.pid),
  });
  const timed = { seconds: 0, cpu: {} as Record<string, number> };
  const seen = await watchServers(bench, async () => {
    process.kill(app.pid, 'SIGUSR2');
    await app.ready(/^profiling$/m);
    const [before, start] = [processorTime(), performance.now()];
    await happen();
    timed.seconds = (performance.now() - start) / 1_000;
    for (const [name, after] of Object.entries(processorTime()))
      timed.cpu[name] = after - (before[name] ?? 0);
    process.kill(app.pid, 'SIGUSR2');
    await app.ready(/^profiled$/m);
  });
  return { ...seen, ...timed, profile: JSON.parse(readFileSync(file, 'utf8')) as CpuProfile };
}

function processTable(cpu: Record<string, number>, seconds: number): string {
  const all = sum(Object.values(cpu));
  return table(
    ['process', `of ${availableParallelism()} cores`, 'of what all took'],
    Object.entries(cpu).map(([name, taken]) => [name, (taken / seconds).toFixed(2), percent(taken / all)]),
  );
}

function mainThread(name: string, profile: CpuProfile): string[] {
  const { busy, byModule, bySelf, byTotal } = summaryOf(profile);
  const listed = (shares: typeof byModule, most: number): string[][] =>
    shares
      .filter(({ share }) => share >= 0.01)
      .slice(0, most)
      .map(({ name: what, share }) => [`\`${what}\``, percent(share)]);
  return [
    `The ${name}'s main thread was busy for ${percent(busy)} of the time. Of that, by package:`,
    table(['package', 'share'], listed(byModule, 25)),
    'by function, each by itself:',
    table(['function', 'share'], listed(bySelf, 15)),
    "by the platform's functions, each with all that it calls before it first waits:",
    table(['function', 'share'], listed(byTotal, 20)),
  ];
}

function servers({ statements, waits, walSyncs, redis, seconds }: Profiled, jobs: number): string[] {
  const taken = sum(statements.map(({ ms }) => ms));
  const samples = sum(Object.values(waits));
  const busiest = Object.entries(waits).sort(([, a], [, b]) => b - a);
  return [
    `PostgreSQL's statements, by the time that they took, commits apart; ${(taken / seconds / 10).toFixed(1)} % of the time some connection ran one, if they never ran at once:`,
    table(
      ['statement', 'calls', 'rows a call', 'ms a call', 'µs a job', 'share'],
      statements
        .slice(0, 6)
        .map(({ query, calls, rows, ms }) => [
          `\`${query.replaceAll('|', '\\|')} …\``,
          count(calls),
          (rows / calls).toFixed(1),
          (ms / calls).toFixed(2),
          ((ms * 1_000) / jobs).toFixed(0),
          percent(ms / taken),
        ]),
    ),
    `Connections flushed the log to disk ${count(walSyncs.count)} times, ${(walSyncs.ms / Math.max(1, walSyncs.count)).toFixed(2)} ms each. What connections at work were seen to wait for:`,
    table(
      ['wait', 'share'],
      busiest.slice(0, 6).map(([wait, seen]) => [wait, percent(seen / samples)]),
    ),
    "Redis's commands; those inside a script are counted by themselves too:",
    table(
      ['command', 'calls a job', 'µs a call', 'µs a job'],
      redis
        .slice(0, 8)
        .map(({ command, calls, ms }) => [
          `\`${command}\``,
          (calls / jobs).toFixed(2),
          ((ms * 1_000) / calls).toFixed(1),
          ((ms * 1_000) / jobs).toFixed(1),
        ]),
    ),
  ];
}

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
