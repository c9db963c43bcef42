import type { Backoff } from '../jobs/job.js';
import { toMs, type Duration } from './duration.js';

/** The same pause before every retry. */
export function fixed(delay: Duration): Backoff {
  return { kind: 'fixed', delay: toMs(delay) };
}

/** Doubles from `first` with each failed attempt, up to `cap` (one hour where it is not given). */
export function exponential(first: Duration, cap: Duration = '1h'): Backoff {
  return { kind: 'exponential', delay: toMs(first), cap: toMs(cap) };
}

/** A pause that nobody capped grows no longer than this. */
const LONGEST_PAUSE = toMs('1d');

/** ms to wait after the `failures`-th failure in a run (1-based). */
export function backoffDelay(backoff: Backoff, failures: number): number {
  if (backoff.kind === 'fixed') return backoff.delay;
  return Math.min(backoff.delay * 2 ** (failures - 1), backoff.cap ?? LONGEST_PAUSE);
}
