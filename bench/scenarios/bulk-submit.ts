import type { Bench } from '../harness/bench.js';
import { MAIL, relayLag } from '../harness/jobs.js';
import { assertOnRecord, load, type Target } from '../harness/load.js';
import type { Sample, Scenario } from '../harness/scenario.js';

const JOBS = 1_000;
const CALLERS = 4;

export const bulkSubmit: Scenario = {
  key: 'bulk-submit',
  title: 'Submitting a thousand jobs a call',
  about: `The platform takes \`POST /jobs/bulk\` over HTTP, checks each job and commits its row; ${CALLERS} connections, only the API
runs. BullMQ's \`addBulk\` puts the same jobs into Redis alone, ${CALLERS} calls at once in one process, without HTTP, validation
or record.`,
  figures: [
    { name: 'jobs', unit: '/s' },
    { name: 'relay lag p99', unit: 'ms' },
  ],
  charted: 'jobs',
  contestants: [
    { name: 'BullMQ addBulk', measure: addBulk },
    { name: 'platform', measure: platform },
  ],
  bars: [
    { figure: 'jobs', of: 'platform', against: 'BullMQ addBulk', better: 'higher', bar: 1, stretch: 1.5 },
    { figure: 'relay lag p99', of: 'platform', better: 'lower', bar: 1_000, stretch: 100 },
  ],
};

async function addBulk(bench: Bench): Promise<Sample> {
  await bench.startEmpty();
  const { warmUp, seconds } = bench.options;
  const given = { job: MAIL, jobs: JOBS, callers: CALLERS, warmUp, seconds };
  const output = await bench.output('contestants/bullmq-bulk.mjs', [JSON.stringify(given)]);
  const done = JSON.parse(output) as { jobs: number; seconds: number };
  return { jobs: done.jobs / done.seconds };
}

async function platform(bench: Bench): Promise<Sample> {
  await bench.startOver();
  const { process, url } = await bench.servePlatform();
  const target: Target = {
    url,
    requests: [{ method: 'POST', path: '/jobs/bulk', body: MAIL, copies: JOBS }],
    connections: CALLERS,
  };
  const seen = await load(bench, target);
  await process.stop();
  const rows = await bench.value<number>('SELECT count(*)::int FROM jobs');
  assertOnRecord(rows, seen, target, JOBS);
  return {
    jobs: (seen.answers * JOBS) / seen.seconds,
    'relay lag p99': await relayLag(bench),
  };
}
