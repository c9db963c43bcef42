import { randomUUID } from 'node:crypto';
import { draft, inParallel, median } from './figures.mjs';

const JOBS = 4_000;
const ROUNDS = 7;
const STEPS = ['submit', 'claim', 'settle'];

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
  const rows = STEPS.flatMap((step) =>
    ['rate', 'buffers', 'wal'].map((figure) => {
      const of = (rounds) => rounds.map((each) => each[step][figure]);
      const ratios = of(full).map((value, n) => value / of(empty)[n]);
      const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
      const round = (value) => (figure === 'buffers' ? value.toFixed(1) : String(Math.round(value)));
      return [
        step,
        { rate: 'jobs/s', buffers: 'buffers a job', wal: 'WAL bytes a job' }[figure],
        round(median(of(empty))),
        round(median(of(full))),
        `${median(ratios).toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`,
      ];
    }),
  );
  return {
    notes: `${ROUNDS} paired rounds of ${JOBS} jobs, 64 submitters and 200 runners that share statements (group commit), after a checkpoint each. Medians. Buffers (hit and read) and WAL are those of pg_stat_statements, parts of it that PostgreSQL counts for planning left out. Asked for: buffers and WAL at most 1.2 times those of the empty record, jobs/s at least 0.8.`,
    header: ['step', '', 'empty', 'full', 'full / empty'],
    rows,
  };
}

async function round(repository, database) {
  const ids = [];
  const tokens = Array.from({ length: JOBS }, () => randomUUID());
  const worker = randomUUID();
  const steps = {
    submit: () => inParallel(64, JOBS, async () => ids.push((await repository.insert([draft]))[0].id)),
    claim: () =>
      inParallel(200, JOBS, async (n) => {
        const claim = { jobId: ids[n], delivery: 1, token: tokens[n], workerId: worker };
        if ((await repository.claim(claim)).kind !== 'claimed') throw new Error('a job was not claimed');
      }),
    settle: () =>
      inParallel(200, JOBS, async (n) => {
        const settlement = { jobId: ids[n], token: tokens[n], outcome: 'completed', result: { n } };
        if (!(await repository.settle(settlement))) throw new Error('a job was not settled');
      }),
  };
  const figures = {};
  for (const [name, step] of Object.entries(steps)) {
    await database?.query('SELECT pg_stat_statements_reset()');
    const start = performance.now();
    await step();
    const rate = (JOBS / (performance.now() - start)) * 1_000;
    const [spent] = (await database?.query(SPENT)) ?? [];
    figures[name] = { rate, buffers: spent?.buffers / JOBS, wal: spent?.wal / JOBS };
  }
  return figures;
}

const SPENT = `
SELECT sum(shared_blks_hit + shared_blks_read)::float8 AS buffers, sum(wal_bytes)::float8 AS wal
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg_stat_statements%'`;
