/** A BullMQ worker that keeps the record by two UPDATEs a job. `seed` fills table and queue, and ends. */
import { Worker } from 'bullmq';
import { connect, makeTable, openQueue, pool, QUEUE } from './hand-written.mjs';

if (process.argv[2] === 'seed') await seed(Number(process.argv[3]));
else work(Number(process.env.CONCURRENCY));

async function seed(count) {
  await makeTable();
  const { rows } = await pool.query(
    `INSERT INTO jobs (id, type, data)
     SELECT gen_random_uuid(), 'noop', '{"durationMs":0}' FROM generate_series(1, $1::int) RETURNING id`,
    [count],
  );
  const queue = openQueue();
  for (let at = 0; at < count; at += 1_000) {
    const batch = rows.slice(at, at + 1_000);
    await queue.addBulk(batch.map(({ id }) => ({ name: 'noop', data: { id }, opts: { jobId: id } })));
  }
  process.exit();
}

function work(concurrency) {
  const worker = new Worker(
    QUEUE,
    async ({ data: { id } }) => {
      await pool.query(`UPDATE jobs SET status = 'active', started_at = clock_timestamp() WHERE id = $1`, [
        id,
      ]);
      const result = null; // here the work would be
      await pool.query(
        `UPDATE jobs SET status = 'completed', result = $2, finished_at = clock_timestamp() WHERE id = $1`,
        [id, result],
      );
    },
    { connection: connect(), concurrency },
  );
  worker.on('ready', () => console.log('ready'));
}
