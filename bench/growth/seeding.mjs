/**
 * Finished jobs of many days, made inside PostgreSQL: the same for the same seed and day. Of every 1,000 jobs 600 are
 * `demo`, 300 `send_email`, 99 `http_request` and one `nightly_report` in a queue of its own; `legacy_import` ran on the
 * oldest day alone. Five of 1,000 failed, one of 100,000 was cancelled. Every fifth is tagged `nightly`, one of 2,000
 * with one of 50 customers, and a third of the oldest day with `migration`.
 */
const CHUNK = 50_000;

/** $1 first number $2 how many $3 seed $4 begin of the day $5 jobs of the day $6 whether it is the oldest. */
const INSERT = `
WITH dice AS (
  SELECT n, abs(hashint8extended(n, $3::bigint)) AS h, $4::timestamptz + n * (interval '1 day' / $5::int) AS at
  FROM generate_series($1::bigint, $1::bigint + $2::bigint - 1) AS n
),
made AS MATERIALIZED (
  SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' ||
      lpad(to_hex((extract(epoch FROM at) * 1000000)::bigint % 1000 * 4096 / 1000), 3, '0') || '8' ||
      left(md5($3::bigint::text || ' ' || n), 15))::uuid AS id,
    CASE WHEN $6::boolean AND h % 50 = 0 THEN 'legacy_import' WHEN h % 1000 < 600 THEN 'demo'
      WHEN h % 1000 < 900 THEN 'send_email' WHEN h % 1000 < 999 THEN 'http_request' ELSE 'nightly_report' END AS type,
    CASE WHEN h / 1000 % 100000 = 0 THEN 'cancelled' WHEN h / 1000 % 1000 < 5 THEN 'failed' ELSE 'completed' END AS status,
    CASE WHEN h / 7 % 5 = 0 THEN ARRAY['nightly'] END || CASE WHEN h / 11 % 2000 = 0 THEN ARRAY['customer-' || h / 13 % 50] END
      || CASE WHEN $6::boolean AND h / 17 % 3 = 0 THEN ARRAY['migration'] END AS tags
  FROM dice
),
job AS (
  INSERT INTO jobs (id, type, queue, data, priority, max_attempts, backoff, timeout_ms, run_at, attempts_made, status,
    result, error, enqueued_at, started_at, finished_at, token, worker, tags)
  SELECT id, type, CASE type WHEN 'nightly_report' THEN 'reports' ELSE 'default' END,
    json_build_object('to', 'user-' || n || '@example.com', 'subject', 'Order ' || n || ' is on its way', 'durationMs', n % 100),
    100, 3, '{"kind":"exponential","delay":1000,"cap":3600000}', 30000, at,
    CASE status WHEN 'failed' THEN 3 WHEN 'completed' THEN 1 ELSE 0 END, status,
    CASE status WHEN 'completed' THEN json_build_object('id', 'message-' || n) END,
    CASE status WHEN 'failed' THEN json_build_object('code', 'HANDLER_ERROR', 'message', 'no route to host') END,
    at + interval '5 ms', at + interval '9 ms', at + interval '40 ms',
    CASE status WHEN 'completed' THEN id END, CASE status WHEN 'completed' THEN 'worker-' || n % 8 || ':1' END, tags
  FROM made ORDER BY id
),
attempt AS (
  INSERT INTO job_attempts (job_id, tenant, run, number, token, worker, started_at, finished_at, outcome)
  SELECT id, 'default', 1, number, id, 'worker-' || n % 8 || ':1', at, at + interval '40 ms', status
  FROM made CROSS JOIN generate_series(1, 3) AS number
  WHERE status = 'failed' ORDER BY id, number
),
letter AS (
  INSERT INTO dead_letters (job_id, tenant, status, type, queue)
  SELECT id, 'default', status, type, 'default' FROM made WHERE status <> 'completed' ORDER BY id
)
SELECT count(*) FROM made`;

/** @param client of pg @param progress told how many are made after each chunk */
export async function seed(client, { jobs, days, seed = 1, before = 0, progress = () => undefined }) {
  await client.query('SELECT ensure_partitions($1, 7)', [before + days]);
  await client.query(`SET synchronous_commit = off; SET statement_timeout = 0`);
  let made = 0;
  for (let day = days; day >= 1; day--) {
    const count = Math.floor(jobs / days) + (day === 1 ? jobs % days : 0);
    const begin = new Date(Math.floor(Date.now() / 86_400_000 - before - day) * 86_400_000);
    for (let first = 0; first < count; first += CHUNK) {
      const size = Math.min(CHUNK, count - first);
      await client.query(INSERT, [
        first,
        size,
        seed * 1_000 + day,
        begin,
        count,
        day === days && before === 0,
      ]);
      made += size;
      progress(made);
    }
  }
  await client.query(`RESET synchronous_commit`);
}
