import type { Pace } from '../jobs/statistics/statistics-repository.js';

/** What an estimate is made from. `slots`: jobs of the lane that its live workers run at once. */
export interface Outlook {
  at: Date;
  runAt: Date;
  ahead: number;
  active: number;
  slots: number;
  pace: Pace;
}

export interface StartEstimate {
  p50: Date;
  p90: Date;
}

/** From due to started where nothing is in the way, in ms: the relay and the workers look that often. */
const LATENCY = { p50: 100, p90: 1_000 };

/** How much slower than measured it may go, since what is ahead need not be like what has been. */
const DOUBT = 1.3;

/** 90 % of a normal distribution lies below its mean and so many standard deviations. */
const Z90 = 1.28;

/**
 * When a job should start: before that, as many others must end as there are too few slots for, k = ahead + active +
 * 1 - slots. With a mean time s in a slot that takes k · s / slots; single times spread about as much as their mean, so
 * that the sum spreads by √k · s / slots.
 * @returns null where no worker would take it, or where it has to wait and no pace was measured yet
 */
export function estimateStart({ at, runAt, ahead, active, slots, pace }: Outlook): StartEstimate | null {
  if (slots <= 0) return null;

  const mustEnd = Math.max(0, Math.ceil(ahead + active + 1 - slots));
  if (mustEnd > 0 && pace.deliveries === 0) return null;
  const meanSlot = pace.deliveries > 0 ? pace.slotMs / pace.deliveries : 0;

  const queueing = (mustEnd * meanSlot) / slots;
  const spread = (Math.sqrt(mustEnd) * meanSlot) / slots;
  const startAfter = (wait: number, latency: number) =>
    new Date(Math.max(at.getTime() + wait, runAt.getTime()) + latency);
  return {
    p50: startAfter(queueing, LATENCY.p50),
    p90: startAfter(queueing * DOUBT + spread * Z90, LATENCY.p90),
  };
}
