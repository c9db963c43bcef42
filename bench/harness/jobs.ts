import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.js';

/** What clients submit where the work does not matter: the README's own example, about 90 bytes of data. */
export const MAIL = {
  type: 'send_email',
  data: { to: 'john@example.com', subject: 'Hello', body: 'Welcome! We are glad that you are here.' },
};

/** A job that does nothing. */
export const NOOP = { type: 'demo', data: { durationMs: 0 } };

/** ms from the commit to the mark that the queue has the job, of the jobs that have one and were submitted since $1. */
const RELAY_LAG = `
WITH pushed AS (
  SELECT id, enqueued_at AS at FROM jobs WHERE enqueued_at IS NOT NULL AND id >= uuid_v7($1::timestamptz)
  UNION ALL
  SELECT job_id, pushed_at FROM dispatch WHERE pushed_at IS NOT NULL AND job_id >= uuid_v7($1::timestamptz)
), lag AS (
  SELECT extract(epoch FROM at) * 1000 - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint AS ms FROM pushed
)
SELECT coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms), 0)::float8 AS p99 FROM lag`;

/**
 * Puts jobs that do nothing on the platform's record.
 * @param env of the API that takes them: by default it reaches no Redis, so that none is pushed; otherwise all must be
 */
export async function seed(
  bench: Bench,
  count: number,
  env: Record<string, string> = { REDIS_URL: 'redis://127.0.0.1:9' },
): Promise<void> {
  const api = await bench.servePlatform(env);
  for (let left = count; left > 0; left -= 1_000) {
    const jobs = Array.from({ length: Math.min(1_000, left) }, () => NOOP);
    const answer = await fetch(`${api.url}/jobs/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jobs }),
    });
    if (answer.status !== 202) throw new Error(await answer.text());
    await answer.arrayBuffer();
  }
  while (!env['REDIS_URL'] && (await bench.value<boolean>(UNPUSHED))) await sleep(50);
  await api.process.stop();
  await bench.settle();
}

const UNPUSHED = 'SELECT EXISTS (SELECT FROM dispatch WHERE pushed_at IS NULL)';

/** @returns the 99th percentile in ms, of jobs submitted since then */
export function relayLag(bench: Bench, since = new Date(0)): Promise<number> {
  return bench.value<number>(RELAY_LAG, [since]);
}
