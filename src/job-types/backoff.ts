import type { Backoff } from '../jobs/job.js';
import { toMs, type Duration } from './duration.js';

/** The same pause before every retry. @param jitter the share of it that chance takes off, 0 to 1 */
export function fixed(delay: Duration, jitter?: number): Backoff {
  return { kind: 'fixed', delay: toMs(delay), ...(jitter === undefined ? {} : { jitter }) };
}

/**
 * Doubles from `first` with each failed attempt, up to `cap` (one hour where it is not given).
 * @param jitter the share of each pause that chance takes off, 0 to 1
 */
export function exponential(first: Duration, cap: Duration = '1h', jitter?: number): Backoff {
  return {
    kind: 'exponential',
    delay: toMs(first),
    cap: toMs(cap),
    ...(jitter === undefined ? {} : { jitter }),
  };
}

/** A pause that nobody capped grows no longer than this. */
const LONGEST_PAUSE = toMs('1d');

/** ms to wait after the `failures`-th failure in a run (1-based). @param chance 0 to 1 */
export function backoffDelay(backoff: Backoff, failures: number, chance = Math.random()): number {
  return Math.round(pauseOf(backoff, failures) * (1 - (backoff.jitter ?? 0) * chance));
}

function pauseOf({ kind, delay, cap }: Backoff, failures: number): number {
  return kind === 'fixed' ? delay : Math.min(delay * 2 ** (failures - 1), cap ?? LONGEST_PAUSE);
}
