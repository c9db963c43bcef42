import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateRedis } from '../support/redis.js';
import { effectsJobs, type Load, percentile } from './support/load.js';
import { scale } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const SHARDS = 6;
const OUTAGE = scale({ full: 20_000, short: 5_000 });
const QUIET = scale({ full: 6_000, short: 2_000 });

const installation = { shards: SHARDS, masters: 3, env: { WORKER_CONCURRENCY: '50' }, drain: 120_000 };

describe('a master of a Redis Cluster that is away', () => {
  scenario('a master of a Redis Cluster killed, and back empty', installation, (trial) =>
    withoutOneMaster(trial, {
      fault: 'kill -9 of a master, which comes back empty',
      leave: (master) => master.kill(),
      comeBack: (master) => {
        master.loseData();
        return master.start();
      },
    }),
  );

  scenario(
    'a master of a Redis Cluster killed, and back with its AOF',
    { ...installation, short: [] },
    (trial) =>
      withoutOneMaster(trial, {
        fault: 'kill -9 of a master, which comes back with its AOF',
        leave: (master) => master.kill(),
        comeBack: (master) => master.start(),
      }),
  );

  scenario('a master of a Redis Cluster stopped by SIGSTOP', { ...installation, short: [] }, (trial) =>
    withoutOneMaster(trial, {
      fault: 'SIGSTOP of a master',
      leave: async (master) => master.pause(),
      comeBack: async (master) => master.resume(),
    }),
  );
});

interface Fault {
  fault: string;
  leave(master: PrivateRedis): Promise<void>;
  comeBack(master: PrivateRedis): Promise<void>;
}

/** Under a steady load: what costs the others nothing, and is mended once the master is back. */
async function withoutOneMaster(trial: Trial, { fault, leave, comeBack }: Fault): Promise<void> {
  const { platform } = trial;
  const processes = await Promise.all([trial.api(), trial.worker(), trial.worker()]);
  const { url } = processes[0];
  const normal = await submitting(trial, url, QUIET);

  const master = trial.random.pick(platform.cluster.nodes);
  const gone = await shardsOn(trial, master);
  trial.fault(`${fault}, with ${gone.length} of ${SHARDS} shards`);
  await leave(master);
  const [since] = await platform.sql<{ now: Date }>('SELECT clock_timestamp() AS now');
  const load = await submitting(trial, url, OUTAGE);
  const [until] = await platform.sql<{ now: Date }>('SELECT clock_timestamp() AS now');
  const waits = await platform.value<number>(LONGEST_WAIT, [since?.now, until?.now, SHARDS, gone]);
  const complaints = processes.map(({ process }) => process.output().match(/does not answer/g)?.length ?? 0);

  await comeBack(master);
  const back = performance.now();
  const rest = await submitting(trial, url, QUIET);
  const caughtUp = await trial.secondsUntil('SELECT count(*)::int FROM dispatch', 0, 60, back);

  const [usual, meanwhile] = [p99(normal), p99(load)];
  trial.figure('normal submit p99', `${usual.toFixed(0)} ms`);
  trial.exactly(
    'submits that failed',
    [load, rest].reduce((sum, { refused }) => sum + refused, 0),
    0,
  );
  trial.atMost('submit p99', meanwhile, Math.max(2 * usual, 100), ' ms');
  trial.atMost('longest wait of a job in the other shards meanwhile', waits, 5, ' s');
  trial.atMost('complaints in the log of a process', Math.max(...complaints), 2);
  trial.atMost('all done, after the master was back', caughtUp, 30, ' s');
}

/** Of what came while the master was away, and is on another: s until it was over, or until now where it is not. */
const LONGEST_WAIT = `
SELECT coalesce(extract(epoch FROM max(coalesce(finished_at, $2) - run_at)), 0)::float8
FROM jobs
WHERE run_at BETWEEN $1 AND $2 AND NOT job_shard(id, $3) = ANY($4)`;

/** Connections that wait for nobody but are far from all that the API can take. */
async function submitting(trial: Trial, url: string, ms: number): Promise<Load> {
  const load = trial.load({ urls: [url], connections: 8, pause: 40, submissions: effectsJobs(Infinity) });
  await sleep(ms);
  await load.finish();
  return load;
}

async function shardsOn({ platform }: Trial, master: PrivateRedis): Promise<number[]> {
  const shards = [...Array(SHARDS).keys()];
  const nodes = await Promise.all(shards.map((shard) => platform.cluster.nodeOf(`{jobs:default-${shard}}`)));
  return shards.filter((shard) => nodes[shard] === master);
}

function p99({ latencies }: Load): number {
  return percentile(latencies, 0.99);
}
