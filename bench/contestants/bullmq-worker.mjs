/** BullMQ alone, without any record: a handler that does nothing. `seed` fills the queue, and ends. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { completions } from './completions.mjs';

const connection = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

if (process.argv[2] === 'seed') await seed(Number(process.argv[3]));
else work(Number(process.env.CONCURRENCY), Number(process.env.JOBS));

async function seed(count) {
  const queue = new Queue('jobs', { connection });
  for (let at = 0; at < count; at += 1_000) {
    const length = Math.min(1_000, count - at);
    await queue.addBulk(Array.from({ length }, () => ({ name: 'noop', data: { durationMs: 0 } })));
  }
  process.exit();
}

function work(concurrency, jobs) {
  const kept = { count: 1_000 };
  const worker = new Worker('jobs', async () => null, { connection, concurrency, removeOnComplete: kept });
  worker.on('completed', completions(jobs));
}
