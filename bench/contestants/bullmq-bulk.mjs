/** Raw `addBulk` of many jobs a call in this process, a few calls at once; writes what it did as JSON. */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';

const { job, jobs: length, callers, warmUp, seconds } = JSON.parse(process.argv[2]);
const queue = new Queue('jobs', {
  connection: new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null }),
});
const entries = Array.from({ length }, () => ({ name: job.type, data: job.data }));

await addFor(warmUp);
console.log(JSON.stringify(await addFor(seconds)));
process.exit();

async function addFor(duration) {
  let jobs = 0;
  const start = performance.now();
  const end = start + duration * 1_000;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < end) jobs += (await queue.addBulk(entries)).length;
    }),
  );
  return { jobs, seconds: (performance.now() - start) / 1_000 };
}
