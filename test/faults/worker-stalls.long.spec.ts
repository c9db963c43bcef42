import { setTimeout as sleep } from 'node:timers/promises';
import { effectsJobs } from './support/load.js';
import { scale } from './support/scale.js';
import { scenario, type Trial } from './support/scenario.js';

const SLEEPERS = scale({ full: 5, short: 2 });
const ROUNDS = scale({ full: 10, short: 1 });
const EACH = 5;

const ACTIVE = 'SELECT count(*)::int FROM dispatch WHERE token IS NOT NULL';
const HELD = 'SELECT count(*)::int FROM dispatch JOIN workers w ON w.id = worker_id WHERE w.pid = ANY($1)';
/** Everything that a late settlement could change. */
const RECORD = `
SELECT md5(string_agg(j::text, '' ORDER BY j.id)) || (SELECT md5(string_agg(a::text, '' ORDER BY a.job_id, a.number))
  FROM all_attempts a WHERE a.job_id = ANY($1)) AS record
FROM jobs j WHERE j.id = ANY($1)`;

describe('workers that stall', () => {
  scenario(
    'workers stopped past their lease, and woken again',
    { backends: ['redis', 'postgres'], short: [], env: { WORKER_CONCURRENCY: String(EACH) } },
    async (trial) => {
      await trial.api();
      // One takes over; the others are stopped again and again.
      const workers = await Promise.all(Array.from({ length: SLEEPERS + 1 }, () => trial.worker()));
      const sleepers = workers.slice(1).map(({ process }) => process);

      let stale = 0;
      let refused = 0;
      let changed = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const outcome = await oneRound(trial, sleepers, workers.length * EACH);
        stale += outcome.stale;
        refused += outcome.refused;
        changed += outcome.changed ? 1 : 0;
      }

      trial.atLeast('stops', SLEEPERS * ROUNDS, SLEEPERS * ROUNDS);
      trial.exactly('stale writes refused', refused, stale);
      trial.exactly('rounds in which one changed the record', changed, 0);
    },
  );
});

type Sleeper = Awaited<ReturnType<Trial['worker']>>['process'];

async function oneRound(
  trial: Trial,
  sleepers: Sleeper[],
  count: number,
): Promise<{ stale: number; refused: number; changed: boolean }> {
  const { platform } = trial;
  const refusals = () =>
    sleepers.reduce((sum, each) => sum + (each.output().match(/"refused"/g)?.length ?? 0), 0);
  const before = refusals();
  const ids = await trial.submit(effectsJobs(count, () => ({ beforeMs: 2_000, stubborn: true })));
  await platform.untilSql(ACTIVE, count, 30_000);

  trial.fault(`SIGSTOP of ${sleepers.length} workers`);
  for (const sleeper of sleepers) sleeper.pause();
  const stale = await platform.value<number>(HELD, [sleepers.map(({ pid }) => pid)]);
  await trial.drain();
  const record = await platform.value<string>(RECORD, [ids]);

  trial.note(`SIGCONT: they hold ${stale} tokens that are not current any more`);
  for (const sleeper of sleepers) sleeper.resume();
  for (let tries = 0; refusals() - before < stale && tries < 200; tries++) await sleep(100);
  const changed = (await platform.value<string>(RECORD, [ids])) !== record;
  return { stale, refused: refusals() - before, changed };
}
