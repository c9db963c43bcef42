import { AS_SHIPPED, type Bench, type Served } from '../harness/bench.js';
import { MAIL, relayLag } from '../harness/jobs.js';
import { assertOnRecord, load, type Seen, type Target } from '../harness/load.js';
import type { Sample, Scenario } from '../harness/scenario.js';

/** Each shard's queue holds 2,000 deliveries at most: together these hold whatever a round submits. */
const SHARDS_FOR_ALL = 16;

export const singleSubmit: Scenario = {
  key: 'single-submit',
  title: 'Submitting one job',
  about: `64 connections send \`POST /jobs\`, each as soon as the last request is answered. Only the API runs. The platform
pushes what is committed until 2,000 deliveries wait in the queue's shard, and leaves the rest on record, as it does
wherever workers fall behind; with ${SHARDS_FOR_ALL} shards it pushes every job of a round. With \`PROCESSES=2\` the API is made of
two processes; everybody else is one, as most would write it. Whoever stores is held against its rows:
each accepted job must be there. The relay lag is the time from the commit to the mark that the queue has the job, of those
that were pushed.`,
  figures: [
    { name: 'requests', unit: '/s' },
    { name: 'p50', unit: 'ms' },
    { name: 'p99', unit: 'ms' },
    { name: 'relay lag p99', unit: 'ms' },
  ],
  charted: 'requests',
  contestants: [
    { name: 'bare Express', measure: (bench) => withoutRecord(bench, 'bare-express.mjs') },
    {
      name: 'the API without storage',
      measure: (bench) => withoutRecord(bench, 'api-without-storage.mjs', AS_SHIPPED),
    },
    { name: 'hand-written', measure: handWritten },
    { name: 'platform', measure: (bench) => platform(bench) },
    { name: 'platform, two processes', measure: (bench) => platform(bench, { PROCESSES: '2' }) },
    {
      name: 'platform, pushing all',
      slow: true,
      measure: (bench) => platform(bench, { QUEUE_SHARDS: String(SHARDS_FOR_ALL) }),
    },
  ],
  bars: [
    { figure: 'requests', of: 'platform', against: 'hand-written', better: 'higher', bar: 2, stretch: 3 },
    { figure: 'p99', of: 'platform', against: 'hand-written', better: 'lower', bar: 0.6, stretch: 0.4 },
    {
      figure: 'requests',
      of: 'platform',
      against: 'the API without storage',
      better: 'higher',
      bar: 0.7,
      stretch: 0.85,
    },
    { figure: 'requests', of: 'platform', against: 'bare Express', better: 'higher', stretch: 0.7 },
    { figure: 'relay lag p99', of: 'platform', better: 'lower', bar: 1_000, stretch: 100 },
    {
      figure: 'requests',
      of: 'platform, two processes',
      against: 'hand-written',
      better: 'higher',
      bar: 2,
      stretch: 3,
    },
    {
      figure: 'p99',
      of: 'platform, two processes',
      against: 'hand-written',
      better: 'lower',
      bar: 0.6,
      stretch: 0.4,
    },
    { figure: 'requests', of: 'platform, two processes', against: 'bare Express', better: 'higher' },
    { figure: 'requests', of: 'platform, pushing all', against: 'hand-written', better: 'higher' },
    { figure: 'p99', of: 'platform, pushing all', against: 'hand-written', better: 'lower' },
    { figure: 'relay lag p99', of: 'platform, pushing all', better: 'lower', bar: 1_000, stretch: 100 },
  ],
};

async function withoutRecord(bench: Bench, file: string, env: Record<string, string> = {}): Promise<Sample> {
  await bench.startOver();
  const server = await bench.serve(file, env);
  const seen = await load(bench, targetOf(server));
  await server.process.stop();
  return sampleOf(seen);
}

async function handWritten(bench: Bench): Promise<Sample> {
  await bench.startEmpty();
  const server = await bench.serve('hand-written-api.mjs');
  const seen = await load(bench, targetOf(server));
  await server.process.stop();
  assertOnRecord(await bench.value<number>('SELECT count(*)::int FROM jobs'), seen, targetOf(server));
  return sampleOf(seen);
}

async function platform(bench: Bench, env: Record<string, string> = {}): Promise<Sample> {
  await bench.startOver();
  const server = await bench.servePlatform(env);
  const seen = await load(bench, targetOf(server));
  await server.process.stop();
  const rows = await bench.value<number>(
    'SELECT least(count(*), (SELECT count(*) FROM dispatch))::int FROM jobs',
  );
  assertOnRecord(rows, seen, targetOf(server));
  return { ...sampleOf(seen), 'relay lag p99': await relayLag(bench) };
}

function targetOf({ url }: Served): Target {
  return { url, requests: [{ method: 'POST', path: '/jobs', body: MAIL }], connections: 64 };
}

function sampleOf({ answers, seconds, p50, p99 }: Seen): Sample {
  return { requests: answers / seconds, p50, p99 };
}
