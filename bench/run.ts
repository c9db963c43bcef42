/**
 * Measures the platform beside its peers, and writes docs/benchmarks.md.
 *
 *   npm run bench                       all of it, as on the page: about half an hour
 *   npm run bench -- --quick            two short rounds, told on the terminal alone: under two minutes
 *   npm run bench -- --only <scenario>  may repeat; the page keeps what else it tells
 *   npm run bench -- --rounds 9 --seconds 6
 *   npm run bench -- --profile          where the platform's time goes, for the same page
 */
import { parseArgs } from 'node:util';
import { Bench } from './harness/bench.js';
import { describeMachine } from './harness/machine.js';
import { figuresOf, replaceBetween, writePage } from './harness/page.js';
import { forgetResults, keepResult, keptResults, type Result } from './harness/results.js';
import { playRounds } from './harness/rounds.js';
import type { Scenario } from './harness/scenario.js';
import { profile } from './profile.js';
import { bulkSubmit } from './scenarios/bulk-submit.js';
import { latency } from './scenarios/latency.js';
import { memory } from './scenarios/memory.js';
import { reads } from './scenarios/reads.js';
import { singleSubmit } from './scenarios/single-submit.js';
import { startUp } from './scenarios/start-up.js';
import { workerThroughput } from './scenarios/worker-throughput.js';

const SCENARIOS: readonly Scenario[] = [
  singleSubmit,
  bulkSubmit,
  workerThroughput(100),
  workerThroughput(200, ['BullMQ alone', 'hand-written', 'platform', 'platform, two processes']),
  latency,
  reads,
  memory,
  startUp,
];
const KEYS = SCENARIOS.map(({ key }) => key);

const started = performance.now();

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      profile: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
    },
  });
  if (values.profile) return replaceBetween('profile', await profile(tell));

  const { quick, only } = values;
  const unknown = only.find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new Error(`there is no scenario "${unknown}"; known: ${KEYS.join(', ')}`);

  const chosen = SCENARIOS.filter(({ key, slow }) =>
    only.length > 0 ? only.includes(key) : !(slow && quick),
  );
  const rounds = Number(values.rounds ?? (quick ? 2 : 7));
  const seconds = Number(values.seconds ?? (quick ? 1 : 4));
  if (!quick && only.length === 0) forgetResults();

  const bench = await Bench.open({ quick, seconds, warmUp: quick ? 0.5 : 2 });
  const machine = await describeMachine(bench);
  const results: Result[] = [];
  for (const scenario of chosen) {
    const samples = await playRounds(bench, scenario, rounds, tell);
    const { key, title, about, note, charted, figures, bars } = scenario;
    const result = { key, title, about, note, charted, figures, bars, samples, seconds, machine };
    results.push(result);
    if (!quick) keepResult(result);
  }
  await bench.close();

  if (quick) process.stdout.write(`\n${figuresOf(results)}\n`);
  else await writePage(keptResults(KEYS));
}

function tell(line: string): void {
  const seconds = ((performance.now() - started) / 1_000).toFixed(0).padStart(5);
  process.stderr.write(`${seconds} s  ${line}\n`);
}

/** Nothing outlives the bench: what it started is ended, newest first. */
async function cleanUp(): Promise<void> {
  for (const cleanup of [...(globalThis.cleanups ?? [])].reverse()) await cleanup();
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
