import { indexEnds } from '../../dist/persistence/day-ends.js';
import { DayRemoval } from '../../dist/persistence/day-removal.js';
import { daysDue } from '../../dist/persistence/old-days.js';
import { statusAges } from '../../dist/persistence/retention-ages.js';
import { draft, quantile } from './figures.mjs';

const SUBMITTERS = 16;
const CALM = 5_000;

/** Removes the days that are `days` old while jobs are submitted. */
export async function measureDrop({ database, repository }, days) {
  const ages = statusAges({ days, statusDays: {} });
  const due = await daysDue(database, { ages: [days * 86_400_000], rules: 'bench' });
  const filled = [];
  for (const day of due) {
    const [{ found }] = await database.query(`SELECT EXISTS (SELECT FROM ${day.name}) AS found`);
    if (found) filled.push(day);
  }
  // As a day that rests is by the platform's own passes, long before it is due.
  const indexing = [];
  for (const { name } of filled) {
    const start = performance.now();
    await indexEnds(database, name);
    indexing.push(performance.now() - start);
  }
  const removal = new DayRemoval(database, ages);
  await submitting(repository, wait(1_000));
  const calm = await submitting(repository, wait(CALM));
  const sweeps = [];
  const busy = await submitting(
    repository,
    (async () => {
      await wait(1_000);
      for (const day of filled) {
        const start = performance.now();
        const removed = await removal.sweep(day);
        sweeps.push({ ...removed, took: performance.now() - start });
      }
      await wait(1_000);
    })(),
  );
  const ms = (value) => value.toFixed(1);
  return {
    notes: `${SUBMITTERS} submitters all the while. The submits during the drop are those from a second before it to a second after. Asked for: under 1,000 ms, and a p99 of submits of at most the larger of twice the calm one and 100 ms.`,
    header: ['', ''],
    rows: [
      ...indexing.map((took) => ['the index of its ends, made while the day rested: ms', ms(took)]),
      ...sweeps.map(({ removed, moved, dropped, took }) => [
        `a day of ${removed} jobs, ${moved} moved${dropped ? '' : ', not dropped'}: ms from the first look to the end`,
        ms(took),
      ]),
      ['submit p99, calm, ms', ms(quantile(calm, 0.99))],
      ['submit p99 during the drop, ms', ms(quantile(busy, 0.99))],
      ['slowest submit, calm, ms', ms(quantile(calm, 1))],
      ['slowest submit during the drop, ms', ms(quantile(busy, 1))],
    ],
  };
}

async function submitting(repository, until) {
  const times = [];
  let over = false;
  const ended = until.finally(() => (over = true));
  await Promise.all(
    Array.from({ length: SUBMITTERS }, async () => {
      while (!over) {
        const start = performance.now();
        await repository.insert([draft]);
        times.push(performance.now() - start);
      }
    }),
  );
  await ended;
  return times;
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
