import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../harness/bench.js';
import { HAND_WRITTEN, PLATFORM, type Installation } from '../harness/installations.js';
import { MAIL, NOOP } from '../harness/jobs.js';
import { load } from '../harness/load.js';
import { residentMemory } from '../harness/processes.js';
import type { Sample, Scenario } from '../harness/scenario.js';

/** Fewer than the platform lets wait in a shard's queue. */
const WAITING = 1_000;
const CONCURRENCY = 100;

export const memory: Scenario = {
  key: 'memory',
  title: 'Memory',
  about: `Resident memory of each process: two seconds after its start, and right after 64 connections submitted jobs that do
nothing to a running worker. Then what a waiting job takes in Redis, of ${WAITING.toLocaleString('en')} that nobody works on.`,
  figures: [
    { name: 'API idle', unit: 'MiB' },
    { name: 'API loaded', unit: 'MiB' },
    { name: 'worker idle', unit: 'MiB' },
    { name: 'worker loaded', unit: 'MiB' },
    { name: 'Redis a job', unit: 'B' },
  ],
  contestants: [HAND_WRITTEN, PLATFORM].map((installation) => ({
    name: installation.name,
    measure: async (bench) => ({
      ...(await memoryOfProcesses(bench, installation)),
      'Redis a job': await memoryOfJob(bench, installation),
    }),
  })),
  bars: [],
  rounds: 3,
  slow: true,
};

async function memoryOfProcesses(bench: Bench, installation: Installation): Promise<Sample> {
  await installation.startOver(bench);
  const api = await installation.serve(bench);
  const worker = await installation.work(bench, CONCURRENCY);
  await sleep(2_000);
  const idle = { 'API idle': residentMemory(api.process.pid), 'worker idle': residentMemory(worker.pid) };

  const requests = [{ method: 'POST' as const, path: '/jobs', body: NOOP }];
  await load(bench, { url: api.url, requests, connections: 64 });
  const loaded = {
    'API loaded': residentMemory(api.process.pid),
    'worker loaded': residentMemory(worker.pid),
  };
  await Promise.all([api.process.kill(), worker.kill()]);
  return { ...idle, ...loaded };
}

/** In bytes. */
async function memoryOfJob(bench: Bench, installation: Installation): Promise<number> {
  await installation.startOver(bench);
  const api = await installation.serve(bench);
  await submit(api.url, 1); // what is there once, whatever waits
  const before = await bench.redisMemory();
  await submit(api.url, WAITING);
  const after = await bench.redisMemory();
  await api.process.kill();
  return (after - before) / WAITING;
}

async function submit(url: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const answer = await fetch(`${url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(MAIL),
    });
    if (answer.status !== 202) throw new Error(await answer.text());
    await answer.arrayBuffer();
  }
  await sleep(1_000); // for what is pushed after the answer
}
