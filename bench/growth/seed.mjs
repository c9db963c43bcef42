/**
 * Fills a record with finished jobs: the same for the same seed and day.
 *
 *   npm run bench:seed -- [jobs, 10000000] [seed, 1] [days, 30]
 *
 * Takes the migrated database of DATABASE_URL. Without it, starts a PostgreSQL of its own, says its URL, and keeps it
 * until it is interrupted.
 */
import pg from 'pg';
import { migrated } from './record.mjs';
import { seed } from './seeding.mjs';
import { startServer } from './server.mjs';

const [jobs = 10_000_000, seedNumber = 1, days = 30] = process.argv.slice(2).map(Number);
const server = process.env.DATABASE_URL ? undefined : await startServer();
const url = process.env.DATABASE_URL ?? (await server.urlOf('jobs'));
if (server) await (await migrated(url)).destroy();

const client = new pg.Client({ connectionString: url });
await client.connect();
const start = performance.now();
await seed(client, { jobs, days, seed: seedNumber, progress: tell });
console.log('\nvacuum and analyze …');
await client.query('VACUUM (ANALYZE)');
await client.end();
console.log(`${jobs} jobs in ${seconds()} s: ${url}`);
if (server) console.log('Interrupt to stop the server and delete it.');

function tell(made) {
  process.stdout.write(`\r${made} of ${jobs}, ${Math.round(made / seconds())} jobs/s   `);
}

function seconds() {
  return Math.round((performance.now() - start) / 100) / 10 || 0.1;
}
