/** pg-boss at its best: it takes and completes a batch at once, and fetches again while batches are full. */
import { PgBoss } from 'pg-boss';

const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, max: 10 });
boss.on('error', console.error);
await boss.start();

if (process.argv[2] === 'seed') await seed(Number(process.argv[3]));
else await work(Number(process.env.CONCURRENCY));

async function seed(count) {
  await boss.createQueue('jobs');
  for (let at = 0; at < count; at += 1_000) {
    const length = Math.min(1_000, count - at);
    await boss.insert(
      'jobs',
      Array.from({ length }, () => ({ data: { durationMs: 0 } })),
    );
  }
  process.exit();
}

async function work(concurrency) {
  const options = { batchSize: concurrency, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
  await boss.work('jobs', options, async () => undefined);
}
