import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from '../../test/support/processes.js';
import type { Bench } from '../harness/bench.js';
import { seed } from '../harness/jobs.js';
import type { Contestant, Scenario } from '../harness/scenario.js';

/** A worker is given up on when it has not run its jobs after so long (ms). */
const LONGEST_RUN = 120_000;

/**
 * Jobs of the first run that finds out how many fill a round. Code that is still being compiled is slow, so that it asks for
 * too few: a second run of so many tells better, and a third does not let one slow moment make every round a small one.
 */
const PILOT = 3_000;
const PILOTS = 3;

/** Each shard's queue holds 2,000 deliveries at most: together these hold the jobs of a round. */
const SHARDS_FOR_ALL = 16;

const TWO_PROCESSES = 'platform, two processes';

/** Of what ran: how many jobs, and when half and the last of them were completed, in ms. */
interface Completed {
  jobs: number;
  half: number;
  last: number;
}

interface Runner {
  name: string;
  /** Left out of `--quick`. */
  slow?: boolean;
  /** Jobs that it can be given. */
  most?: number;
  /** From an empty installation to `jobs` that wait. */
  seed(bench: Bench, jobs: number): Promise<void>;
  start(bench: Bench, env: Record<string, string>): AppProcess;
  /** Resolves once all are completed, and checks it against the record where there is one. */
  completed(bench: Bench, worker: AppProcess, jobs: number): Promise<Completed>;
}

/**
 * @param concurrency jobs at once
 * @param names of the contestants; all where none are given
 */
export function workerThroughput(concurrency: number, names?: readonly string[]): Scenario {
  const sizes = new Map<string, number>();
  const runners = RUNNERS.filter(({ name }) => names?.includes(name) ?? true);
  return {
    key: `worker-${concurrency}`,
    title: `Working at concurrency ${concurrency}`,
    about: `Jobs that do nothing wait already; one worker process with ${concurrency} at once starts on them. The rate is that
of the second half (in the first, everybody's code is still being compiled), by the clock of this machine, of as many
jobs as keep each contestant busy for about twice the time of a round. The platform's worker relays its backlog, claims, and settles with the attempt on record. With \`PROCESSES=2\` it is made of two processes, one a core; everybody else is one. Where its
deliveries were pushed before, they wait in Redis, as BullMQ's and the hand-written ones do: in ${SHARDS_FOR_ALL} shards, since the
queue of one holds 2,000.`,
    figures: [{ name: 'jobs', unit: '/s' }],
    charted: 'jobs',
    slow: names !== undefined,
    prepare: async (bench) => {
      for (const runner of runners.filter(({ slow }) => !(slow && bench.options.quick))) {
        let jobs = PILOT;
        for (let pilot = 0; pilot < (bench.options.quick ? 1 : PILOTS); pilot++) {
          const rate = await measure(bench, runner, concurrency, jobs);
          const filling = Math.ceil((rate * 2 * bench.options.seconds) / 500) * 500;
          jobs = Math.min(runner.most ?? Infinity, Math.max(jobs, filling));
        }
        sizes.set(runner.name, jobs);
      }
    },
    contestants: runners.map((runner) => contestantOf(runner, concurrency, sizes)),
    bars: [
      { figure: 'jobs', of: 'platform', against: 'BullMQ alone', better: 'higher', bar: 0.5, stretch: 0.75 },
      { figure: 'jobs', of: 'platform', against: 'hand-written', better: 'higher', bar: 4, stretch: 6 },
      { figure: 'jobs', of: 'platform', against: 'pg-boss', better: 'higher', bar: 0.75, stretch: 1 },
      { figure: 'jobs', of: 'platform', against: 'graphile-worker', better: 'higher' },
      {
        figure: 'jobs',
        of: TWO_PROCESSES,
        against: 'BullMQ alone',
        better: 'higher',
        bar: 0.5,
        stretch: 0.75,
      },
      { figure: 'jobs', of: TWO_PROCESSES, against: 'hand-written', better: 'higher', bar: 4, stretch: 6 },
      { figure: 'jobs', of: TWO_PROCESSES, against: 'pg-boss', better: 'higher', bar: 0.75, stretch: 1 },
      { figure: 'jobs', of: 'platform, pushed before', against: 'BullMQ alone', better: 'higher' },
    ],
  };
}

function contestantOf(runner: Runner, concurrency: number, sizes: Map<string, number>): Contestant {
  return {
    name: runner.name,
    slow: runner.slow,
    measure: async (bench) => ({
      jobs: await measure(bench, runner, concurrency, sizes.get(runner.name) ?? PILOT),
    }),
  };
}

/** @returns jobs a second */
async function measure(bench: Bench, runner: Runner, concurrency: number, jobs: number): Promise<number> {
  await runner.seed(bench, jobs);
  const env = {
    CONCURRENCY: String(concurrency),
    JOBS: String(jobs),
    WORKER_CONCURRENCY: String(concurrency),
  };
  const worker = runner.start(bench, env);
  const completed = await runner.completed(bench, worker, jobs);
  await worker.kill();
  return (completed.jobs / 2 / (completed.last - completed.half)) * 1_000;
}

const RUNNERS: Runner[] = [
  {
    name: 'BullMQ alone',
    seed: (bench, jobs) => seedEmpty(bench, 'bullmq-worker.mjs', jobs),
    start: (bench, env) => bench.script('contestants/bullmq-worker.mjs', [], env),
    completed: (_bench, worker, jobs) => told(worker, jobs),
  },
  {
    name: 'hand-written',
    seed: (bench, jobs) => seedEmpty(bench, 'hand-written-worker.mjs', jobs),
    start: (bench, env) => bench.script('contestants/hand-written-worker.mjs', [], env),
    completed: (bench, worker, jobs) =>
      recorded(bench, worker, jobs, {
        left: `SELECT FROM jobs WHERE status <> 'completed'`,
        done: `FROM jobs WHERE status = 'completed'`,
        at: 'finished_at',
      }),
  },
  {
    name: 'pg-boss',
    seed: (bench, jobs) =>
      seedKept(bench, 'pg_boss', jobs, () => seedEmpty(bench, 'pg-boss-worker.mjs', jobs)),
    start: (bench, env) => bench.script('contestants/pg-boss-worker.mjs', [], env),
    completed: (bench, worker, jobs) =>
      recorded(bench, worker, jobs, {
        left: `SELECT FROM pgboss.job WHERE name = 'jobs' AND state < 'completed'`,
        done: `FROM pgboss.job WHERE name = 'jobs' AND state = 'completed'`,
        at: 'completed_on',
      }),
  },
  {
    name: 'graphile-worker',
    seed: (bench, jobs) =>
      seedKept(bench, 'graphile', jobs, () => seedEmpty(bench, 'graphile-worker.mjs', jobs)),
    start: (bench, env) => bench.script('contestants/graphile-worker.mjs', [], env),
    completed: async (bench, worker, jobs) => {
      const completed = await told(worker, jobs);
      await sleep(200); // the last batch
      const left = await bench.value<number>('SELECT count(*)::int FROM graphile_worker.jobs');
      if (left > 0) throw new Error(`${left} jobs were told of, and are still there`);
      return completed;
    },
  },
  {
    name: 'platform',
    seed: (bench, jobs) =>
      seedKept(bench, 'platform', jobs, async () => {
        await bench.startOver();
        await seed(bench, jobs);
      }),
    start: (bench, env) => bench.platform('worker', env),
    completed: onPlatformsRecord,
  },
  {
    name: TWO_PROCESSES,
    slow: true,
    seed: (bench, jobs) =>
      seedKept(bench, 'platform', jobs, async () => {
        await bench.startOver();
        await seed(bench, jobs);
      }),
    start: (bench, env) => bench.platform('worker', { ...env, PROCESSES: '2' }),
    completed: onPlatformsRecord,
  },
  {
    name: 'platform, pushed before',
    slow: true,
    most: SHARDS_FOR_ALL * 1_900,
    seed: async (bench, jobs) => {
      await bench.startOver();
      await seed(bench, jobs, { QUEUE_SHARDS: String(SHARDS_FOR_ALL) });
    },
    start: (bench, env) => bench.platform('worker', { ...env, QUEUE_SHARDS: String(SHARDS_FOR_ALL) }),
    completed: onPlatformsRecord,
  },
];

async function seedEmpty(bench: Bench, file: string, jobs: number): Promise<void> {
  await bench.startEmpty();
  await bench.output(`contestants/${file}`, ['seed', String(jobs)]);
  await bench.settle();
}

/** Where PostgreSQL alone holds the jobs, they are made once and copied for each round, which so finds the same rows. */
async function seedKept(bench: Bench, name: string, jobs: number, make: () => Promise<void>): Promise<void> {
  const kept = `${name}_${jobs}`;
  if (!(await bench.isKept(kept))) {
    await make();
    await bench.keepAs(kept);
  }
  await bench.startOver(kept);
  await bench.settle();
}

function onPlatformsRecord(bench: Bench, worker: AppProcess, jobs: number): Promise<Completed> {
  return recorded(bench, worker, jobs, {
    left: 'SELECT FROM dispatch',
    done: `FROM jobs j JOIN all_attempts a ON a.job_id = j.id WHERE status = 'completed' AND a.outcome = 'completed'`,
    at: 'j.finished_at',
  });
}

/** As the contestant tells it. */
async function told(worker: AppProcess, jobs: number): Promise<Completed> {
  const [, last] = await worker.ready(/^last (\S+)$/m, LONGEST_RUN);
  const [, half] = await worker.ready(/^half (\S+)$/m);
  return { jobs, half: Number(half), last: Number(last) };
}

/** As the record has it. */
async function recorded(
  bench: Bench,
  worker: AppProcess,
  jobs: number,
  { left, done, at }: { left: string; done: string; at: string },
): Promise<Completed> {
  const deadline = Date.now() + LONGEST_RUN;
  while (await bench.value<boolean>(`SELECT EXISTS (${left})`)) {
    if (Date.now() > deadline) throw new Error(`jobs are left:\n${worker.output().slice(-2_000)}`);
    await sleep(100);
  }
  const [completed] = await bench.query<Completed>(
    `SELECT count(*)::int AS jobs, ${ms(HALF(at))} AS half, ${ms(`max(${at})`)} AS last ${done}`,
  );
  if (completed?.jobs !== jobs)
    throw new Error(`of ${jobs} jobs ${completed?.jobs ?? 0} are completed on record`);
  return completed;
}

const HALF = (at: string): string => `percentile_disc(0.5) WITHIN GROUP (ORDER BY ${at})`;

function ms(timestamp: string): string {
  return `(extract(epoch FROM ${timestamp}) * 1000)::float8`;
}
