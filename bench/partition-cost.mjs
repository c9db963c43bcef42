/**
 * What daily partitions cost on the hot path: insert, claim and settle of the same jobs, on partitioned tables and on plain
 * ones, in paired rounds on one server.
 *
 *   npm run build && DATABASE_URL=postgres://… node bench/partition-cost.mjs [jobs a round] [rounds] [days of partitions]
 *
 * Works in schemas of its own, which it drops.
 */
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../dist/persistence/data-source-options.js';
import { TypeOrmJobRepository } from '../dist/persistence/typeorm-job-repository.js';

const [jobs = 5_000, rounds = 7, days = 30] = process.argv.slice(2).map(Number);
const url = process.env.DATABASE_URL;
if (!url) throw new Error('DATABASE_URL is not set');

const stores = [];
for (const kind of ['plain', 'partitioned']) stores.push(await openStore(kind));

const results = { plain: [], partitioned: [] };
for (let round = 0; round < rounds; round++) {
  for (const store of round % 2 ? stores : stores.toReversed()) {
    const rate = await measure(store.repository);
    results[store.kind].push(rate);
    console.log(
      `round ${round + 1}  ${store.kind.padEnd(12)} ${Math.round(rate.insert)} inserts/s  ${Math.round(rate.run)} claims and settlements/s`,
    );
  }
}
for (const step of ['insert', 'run']) {
  const ratios = results.partitioned
    .map((rate, round) => rate[step] / results.plain[round][step])
    .sort((a, b) => a - b);
  console.log(
    `${step}: partitioned / plain = ${ratios[rounds >> 1].toFixed(2)} (${ratios[0].toFixed(2)} to ${ratios.at(-1).toFixed(2)}), ${days} days`,
  );
}
for (const { kind, database } of stores) {
  await database.query(`DROP SCHEMA bench_${kind} CASCADE`);
  await database.destroy();
}

async function openStore(kind) {
  const options = dataSourceOptions({ database: { url, poolSize: 10 } });
  const extra = { ...options.extra, options: `-c search_path=bench_${kind}` };
  const database = await new DataSource({ ...options, extra }).initialize();
  await database.query(`DROP SCHEMA IF EXISTS bench_${kind} CASCADE; CREATE SCHEMA bench_${kind}`);
  await database.runMigrations();
  await database.query('SELECT ensure_partitions($1, 1)', [days]);
  if (kind === 'plain') {
    const [view] = await database.query(`SELECT pg_get_viewdef('all_attempts') AS sql`);
    await database.query('DROP VIEW all_attempts');
    for (const table of ['jobs', 'job_attempts', 'job_events', 'job_logs']) {
      await database.query(
        `CREATE TABLE plain (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES) WITH (fillfactor = ${table === 'jobs' ? 40 : 100})`,
      );
      const sequence = { job_logs: 'job_log_seq', job_events: 'job_event_seq' }[table];
      if (sequence) await database.query(`ALTER SEQUENCE ${sequence} OWNED BY NONE`);
      await database.query(`DROP TABLE ${table}; ALTER TABLE plain RENAME TO ${table}`);
    }
    await database.query(`CREATE VIEW all_attempts AS ${view.sql}`);
  }
  const config = { database: { poolSize: 10 }, queue: { shards: 1 }, submit: { idempotencyTtl: 86_400_000 } };
  return {
    kind,
    database,
    repository: new TypeOrmJobRepository(database, config, { ensure: async () => undefined }),
  };
}

/** 64 submitters, then 200 workers' slots, each waiting for its own answers: as in a running platform. */
async function measure(repository) {
  const draft = {
    tenant: 'default',
    type: 'demo',
    queue: 'default',
    data: { durationMs: 0 },
    json: '{"durationMs":0}',
    options: { priority: 100, attempts: 3, backoff: { kind: 'fixed', delay: 1000 }, timeout: 60_000 },
  };
  const ids = [];
  const inserting = performance.now();
  await inParallel(64, jobs, async () => ids.push((await repository.insert([draft]))[0].id));
  const running = performance.now();
  await inParallel(200, jobs, async (index) => {
    const token = randomUUID();
    const answer = await repository.claim({ jobId: ids[index], delivery: 1, token, workerId: token });
    if (
      answer.kind !== 'claimed' ||
      !(await repository.settle({ jobId: ids[index], token, outcome: 'completed', result: null }))
    ) {
      throw new Error('a job was not run');
    }
  });
  const ended = performance.now();
  return { insert: (jobs / (running - inserting)) * 1_000, run: (jobs / (ended - running)) * 1_000 };
}

async function inParallel(width, count, task) {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await task(next++);
    }),
  );
}
