import { randomUUID } from 'node:crypto';
import { draft, inParallel, median } from './figures.mjs';

/** Of each of the two ways in which a job comes to its end. */
const JOBS = 4_000;
const ROUNDS = 7;
const STEPS = {
  submit: { jobs: 2 * JOBS, does: 'a submit' },
  start: { jobs: JOBS, does: 'a start without a claim' },
  complete: { jobs: JOBS, does: 'its completion' },
  claim: { jobs: JOBS, does: 'a claim on record' },
  settle: { jobs: JOBS, does: 'its completion' },
};

/** Paired rounds: each step's jobs a second, buffers touched and WAL bytes a job, on both records by turns. */
export async function measureWork(records) {
  for (const { repository } of records) await round(repository); // warms up
  for (const { database } of records) await database.query('VACUUM (ANALYZE)');

  const results = new Map(records.map(({ name }) => [name, []]));
  for (let n = 0; n < ROUNDS; n++) {
    for (const { name, database, repository } of n % 2 ? records : records.toReversed()) {
      await database.query('CHECKPOINT'); // full page images of the round before are not its own
      results.get(name).push(await round(repository, database));
    }
  }
  const [empty, full] = records.map(({ name }) => results.get(name));
  const rows = Object.entries(STEPS).flatMap(([step, { does }]) =>
    ['rate', 'buffers', 'wal'].map((figure) => {
      const of = (rounds) => rounds.map((each) => each[step][figure]);
      const ratios = of(full).map((value, n) => (value === of(empty)[n] ? 1 : value / of(empty)[n])); // 0 of 0 too
      const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
      const round = (value) => (figure === 'buffers' ? value.toFixed(1) : String(Math.round(value)));
      return [
        does,
        { rate: 'jobs/s', buffers: 'buffers a job', wal: 'WAL bytes a job' }[figure],
        round(median(of(empty))),
        round(median(of(full))),
        `${median(ratios).toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`,
      ];
    }),
  );
  return {
    notes: `${ROUNDS} paired rounds of ${2 * JOBS} jobs, half of them started without a claim, as workers start a first delivery of quick types, and half with one; 64 submitters and 200 runners that share statements (group commit), after a checkpoint each. Medians. Buffers (hit and read) and WAL are those of pg_stat_statements, parts of it that PostgreSQL counts for planning left out. Asked for: buffers and WAL at most 1.2 times those of the empty record, jobs/s at least 0.8.`,
    header: ['step', '', 'empty', 'full', 'full / empty'],
    rows,
  };
}

async function round(repository, database) {
  const ids = [];
  const worker = randomUUID();
  const tokens = Array.from({ length: 2 * JOBS }, () => randomUUID());
  const claim = async (n, deferrable) => {
    const request = { jobId: ids[n], delivery: 1, token: tokens[n], workerId: worker, deferrable };
    const { kind, claim } = await repository.claim(request);
    if (kind !== 'claimed' || !claim.deferred === deferrable)
      throw new Error(`a job was ${kind}, not ${deferrable ? 'started' : 'claimed'}`);
  };
  const settle = async (n, start) => {
    const settlement = { jobId: ids[n], token: tokens[n], outcome: 'completed', result: { n }, start };
    if (!(await repository.settle(settlement))) throw new Error('a job was not settled');
  };
  const steps = {
    submit: () => inParallel(64, 2 * JOBS, async () => ids.push((await repository.insert([draft]))[0].id)),
    start: () => inParallel(200, JOBS, (n) => claim(n, true)),
    complete: () => inParallel(200, JOBS, (n) => settle(n, { delivery: 1, workerId: worker, ran: 1 })),
    claim: () => inParallel(200, JOBS, (n) => claim(JOBS + n, false)),
    settle: () => inParallel(200, JOBS, (n) => settle(JOBS + n)),
  };
  const figures = {};
  for (const [name, step] of Object.entries(steps)) {
    const { jobs } = STEPS[name];
    await database?.query('SELECT pg_stat_statements_reset()');
    const start = performance.now();
    await step();
    const rate = (jobs / (performance.now() - start)) * 1_000;
    const [spent] = (await database?.query(SPENT)) ?? [];
    figures[name] = { rate, buffers: spent?.buffers / jobs, wal: spent?.wal / jobs };
  }
  return figures;
}

const SPENT = `
SELECT sum(shared_blks_hit + shared_blks_read)::float8 AS buffers, sum(wal_bytes)::float8 AS wal
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg_stat_statements%'`;
