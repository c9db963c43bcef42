/**
 * What an idempotency key costs a submit: inserts without a key, with a new one each, half and half, and with one that is
 * known, in paired rounds on one server.
 *
 *   npm run build && DATABASE_URL=postgres://… node bench/idempotency-cost.mjs [jobs a round] [rounds] [submitters]
 *
 * Works in a schema of its own, which it drops.
 */
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../dist/persistence/data-source-options.js';
import { TypeOrmJobRepository } from '../dist/persistence/typeorm-job-repository.js';

const [jobs = 5_000, rounds = 7, submitters = 64] = process.argv.slice(2).map(Number);
const url = process.env.DATABASE_URL;
if (!url) throw new Error('DATABASE_URL is not set');

const options = dataSourceOptions({ database: { url, poolSize: 10 } });
const extra = { ...options.extra, options: '-c search_path=bench_keys' };
const database = await new DataSource({ ...options, extra }).initialize();
await database.query(`DROP SCHEMA IF EXISTS bench_keys CASCADE; CREATE SCHEMA bench_keys`);
await database.runMigrations();
const config = { database: { poolSize: 10 }, queue: { shards: 1 }, submit: { idempotencyTtl: 86_400_000 } };
const repository = new TypeOrmJobRepository(database, config, { ensure: async () => undefined });

const draft = {
  tenant: 'default',
  type: 'demo',
  queue: 'default',
  data: { durationMs: 0 },
  json: '{"durationMs":0}',
  options: { priority: 100, attempts: 3, backoff: { kind: 'fixed', delay: 1000 }, timeout: 60_000 },
};
const insert = (key) =>
  repository.insert([draft], key === undefined ? undefined : { key, fingerprint: 'x'.repeat(43) });
const KINDS = {
  'no key': () => insert(),
  'a new key': () => insert(randomUUID()),
  'half of each': (n) => insert(n % 2 ? randomUUID() : undefined),
  'a known key': (n) => insert(`known ${n % 500}`),
};
const names = Object.keys(KINDS);
for (const name of names) await rateOf(KINDS[name]); // warms up, and makes the known keys

const rates = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 ? names : names.toReversed()) rates[name].push(await rateOf(KINDS[name]));
}
for (const name of names) {
  const ratios = rates[name].map((rate, round) => rate / rates['no key'][round]).sort((a, b) => a - b);
  const median = rates[name].toSorted((a, b) => a - b)[rounds >> 1];
  console.log(
    `${name.padEnd(12)}  ${Math.round(median)} inserts/s, ${ratios[rounds >> 1].toFixed(2)} of no key (${ratios[0].toFixed(2)} to ${ratios.at(-1).toFixed(2)})`,
  );
}
await database.query(`DROP SCHEMA bench_keys CASCADE`);
await database.destroy();

async function rateOf(submit) {
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: submitters }, async () => {
      while (next < jobs) await submit(next++);
    }),
  );
  return (jobs / (performance.now() - start)) * 1_000;
}
