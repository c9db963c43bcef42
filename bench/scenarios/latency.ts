import { setTimeout as sleep } from 'node:timers/promises';
import { arrivals } from '../harness/arrivals.js';
import type { Bench } from '../harness/bench.js';
import { HAND_WRITTEN, PLATFORM, type Installation } from '../harness/installations.js';
import { NOOP, relayLag } from '../harness/jobs.js';
import { load } from '../harness/load.js';
import type { Sample, Scenario } from '../harness/scenario.js';
import { quantile } from '../harness/statistics.js';

const LONGEST_DRAIN = 60_000;
const CONCURRENCY = 100;
/** Jobs a second that leave everybody idle between two of them. */
const IDLE_RATE = 10;
/** So few jobs need more time than a round's, to tell a median by. */
const IDLE_TIMES = 3;

/** Jobs a second that the platform's API and worker take to their end together, with this client on the same machine. */
let capacity = 0;

export const latency: Scenario = {
  key: 'latency',
  title: 'From submit to completed',
  about: `One API, one worker with ${CONCURRENCY} at once, jobs that do nothing. The time of a job runs from the sending of its request
to \`finished_at\` on record. Jobs come at random moments, the same for everybody: ${IDLE_RATE} a second on the average (idle), and 10 % and
50 % of what the platform's API and worker were seen to take to its end together, with the client on the same cores.`,
  figures: ['idle', '10 %', '50 %'].flatMap((at) => [
    { name: `${at} p50`, unit: 'ms' as const },
    { name: `${at} p99`, unit: 'ms' as const },
    { name: `${at} relay lag p99`, unit: 'ms' as const },
  ]),
  charted: 'idle p50',
  slow: true,
  prepare: async (bench) => {
    capacity = await capacityOf(bench);
    latency.note = `10 % are ${Math.round(capacity / 10)} jobs a second, 50 % are ${Math.round(capacity / 2)}.`;
  },
  contestants: [HAND_WRITTEN, PLATFORM].map((installation) => ({
    name: installation.name,
    measure: async (bench) => {
      const { url, stop } = await start(bench, installation);
      const sample = await timesAt(bench, url, installation === PLATFORM);
      await stop();
      return sample;
    },
  })),
  bars: [
    { figure: 'idle p50', of: 'platform', against: 'hand-written', better: 'lower', bar: 1.2, stretch: 1 },
    { figure: '10 % p50', of: 'platform', against: 'hand-written', better: 'lower' },
    { figure: '50 % p99', of: 'platform', against: 'hand-written', better: 'lower' },
    ...['idle', '10 %', '50 %'].map((at) => ({
      figure: `${at} relay lag p99`,
      of: 'platform',
      better: 'lower' as const,
      bar: 1_000,
      stretch: 100,
    })),
  ],
};

async function start(
  bench: Bench,
  installation: Installation,
): Promise<{ url: string; stop: () => Promise<void> }> {
  await installation.startOver(bench);
  const { process, url } = await installation.serve(bench);
  const worker = await installation.work(bench, CONCURRENCY);
  return {
    url,
    stop: async () => {
      await Promise.all([process.kill(), worker.kill()]);
    },
  };
}

/** Jobs a second from the first submit of 64 busy connections until the last job is completed. */
async function capacityOf(bench: Bench): Promise<number> {
  const { url, stop } = await start(bench, PLATFORM);
  await load(bench, { url, requests: [{ method: 'POST', path: '/jobs', body: NOOP }], connections: 64 });
  while (await bench.value<boolean>('SELECT EXISTS (SELECT FROM dispatch)')) await sleep(100);
  await stop();
  return bench.value<number>(
    `SELECT (count(*) / extract(epoch FROM max(finished_at) - min(run_at)))::float8 FROM jobs`,
  );
}

async function timesAt(bench: Bench, url: string, withLag: boolean): Promise<Sample> {
  const { seconds, warmUp } = bench.options;
  await arrivals(url, NOOP, capacity / 4, warmUp);
  const sample: Sample = {};
  for (const [name, rate, lasts] of [
    ['idle', IDLE_RATE, IDLE_TIMES * seconds],
    ['10 %', capacity / 10, seconds],
    ['50 %', capacity / 2, seconds],
  ] as const) {
    const from = await bench.value<Date>('SELECT clock_timestamp()');
    const times = await timesOf(bench, url, rate, lasts);
    sample[`${name} p50`] = quantile(times, 0.5);
    sample[`${name} p99`] = quantile(times, 0.99);
    if (withLag) sample[`${name} relay lag p99`] = await relayLag(bench, from);
  }
  return sample;
}

/** From sent to completed, in ms, ascending. */
async function timesOf(bench: Bench, url: string, rate: number, seconds: number): Promise<number[]> {
  const sent = new Map((await arrivals(url, NOOP, rate, seconds)).map(({ id, at }) => [id, at]));
  const ids = [...sent.keys()];
  const deadline = Date.now() + LONGEST_DRAIN;
  for (;;) {
    const ended = await bench.query<{ id: string; at: number }>(
      `SELECT id, (extract(epoch FROM finished_at) * 1000)::float8 AS at
       FROM jobs WHERE id = ANY($1::uuid[]) AND status = 'completed'`,
      [ids],
    );
    if (ended.length === ids.length)
      return ended.map(({ id, at }) => at - (sent.get(id) ?? 0)).sort((a, b) => a - b);
    if (Date.now() > deadline) throw new Error(`of ${ids.length} jobs ${ended.length} were completed`);
    await sleep(200);
  }
}
