/**
 * What growth costs: submit, claim and settle on a full record against an empty one, lists, and the drop of a day. Writes
 * docs/benchmarks-growth.md.
 *
 *   npm run bench:growth -- [jobs, 10000000] [jobs of the day that is dropped, 1000000]
 *
 * Needs PostgreSQL 15 with its contrib modules, some 10 GB of disk for 10,000,000 jobs, and about half an hour.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import pg from 'pg';
import { format, resolveConfig } from 'prettier';
import { measureDrop } from './drop.mjs';
import { measureLists } from './lists.mjs';
import { migrated, repositoryOn } from './record.mjs';
import { seed } from './seeding.mjs';
import { startServer } from './server.mjs';
import { measureWork } from './work.mjs';

const [jobs = 10_000_000, dayJobs = 1_000_000] = process.argv.slice(2).map(Number);
const DAYS = 30;
const server = await startServer();
try {
  const [empty, full] = [await open('empty'), await open('full')];
  say(`seeding ${jobs} jobs`);
  const start = performance.now();
  await filled(full.url, { jobs, days: DAYS });
  const seeding = (performance.now() - start) / 1_000;

  say('submit, claim and settle');
  const work = await measureWork([empty, full]);
  say('lists');
  const lists = await measureLists(full.repository);
  say(`seeding ${dayJobs} jobs of an old day`);
  await filled(full.url, { jobs: dayJobs, days: 1, before: DAYS + 10, seed: 2 });
  say('retention');
  const drop = await measureDrop(full, DAYS + 5);

  const [{ version }] = await full.database
    .query('SHOW server_version')
    .then(([row]) => [{ version: row.server_version }]);
  const page = [
    '# Benchmarks: growth',
    '',
    `Written by \`npm run bench:growth -- ${jobs} ${dayJobs}\`: PostgreSQL ${version} (durable, 1 GB of shared buffers) and the bench on the same ${cpus().length} cores (${cpus()[0].model}), Node.js ${process.version}. Take the ratios, not the figures.`,
    '',
    `${jobs.toLocaleString('en')} finished jobs of ${DAYS} days with their attempts; \`npm run bench:seed\` makes the same. Seeding took ${Math.round(seeding)} s.`,
    '',
    ...section('Submit, claim, settle: full against empty', work),
    ...section('Lists', lists),
    ...section('Dropping a day', drop),
  ].join('\n');
  const file = 'docs/benchmarks-growth.md';
  writeFileSync(file, await format(page, { ...(await resolveConfig(file)), filepath: file }));
  console.log(page);
  await Promise.all([empty, full].map(({ database }) => database.destroy()));
} finally {
  await server.stop();
}

async function open(name) {
  const url = await server.urlOf(name);
  const database = await migrated(url);
  return { name, url, database, repository: repositoryOn(database) };
}

async function filled(url, options) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await seed(client, { ...options, progress: (made) => process.stderr.write(`\r${made}   `) });
  process.stderr.write('\n');
  await client.query('VACUUM (ANALYZE)');
  await client.query('CHECKPOINT');
  await client.end();
}

function section(title, { notes, header, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [`## ${title}`, '', notes, '', line(header), line(header.map(() => '---')), ...rows.map(line), ''];
}

function say(what) {
  console.error(`${new Date().toISOString().slice(11, 19)} ${what}`);
}
