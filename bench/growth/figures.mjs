export function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export const median = (values) => quantile(values, 0.5);

/** Runs `count` tasks, `width` at a time. */
export async function inParallel(width, count, task) {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await task(next++);
    }),
  );
}

export const draft = {
  tenant: 'default',
  type: 'demo',
  queue: 'default',
  data: { durationMs: 0 },
  json: '{"durationMs":0}',
  options: { priority: 100, attempts: 3, backoff: { kind: 'fixed', delay: 1000 }, timeout: 60_000 },
};
