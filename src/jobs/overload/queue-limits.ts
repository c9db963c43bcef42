import type { LiveCounts } from '../job-repository.js';

/** What a queue may hold before no more is taken on for it; 0: no limit. */
export interface QueueLimits {
  /** Waiting jobs. */
  maxDepth: number;
  /** ms that the oldest waiting job has been due. */
  maxAge: number;
}

const LEAST = 1;
const MOST = 300;
/** Where nothing has ended in the last minute, nobody can tell. */
const UNKNOWN = 30;

export function exceeds(
  { waiting, oldestWaiting }: Pick<LiveCounts, 'waiting' | 'oldestWaiting'>,
  { maxDepth, maxAge }: QueueLimits,
): boolean {
  return (maxDepth > 0 && waiting > maxDepth) || (maxAge > 0 && (oldestWaiting ?? 0) > maxAge);
}

/**
 * Jobs above the depth leave at the rate of the queue. The last of those that wait now starts after waiting / rate (by
 * Little's law); so much longer than the age allows must pass until one that comes then waits no longer than it may.
 *
 * @param rate jobs that end, a second
 */
export function retryAfter(waiting: number, { maxDepth, maxAge }: QueueLimits, rate: number): number {
  if (!(rate > 0)) return UNKNOWN;
  const aboveDepth = maxDepth > 0 ? (waiting - maxDepth) / rate : 0;
  const aboveAge = maxAge > 0 ? waiting / rate - maxAge / 1_000 : 0;
  return Math.min(MOST, Math.max(LEAST, Math.ceil(Math.max(aboveDepth, aboveAge))));
}
