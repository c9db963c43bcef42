/** `npm run test:faults` sets FAULTS=full; elsewhere the same scenarios run scaled down. */
export const FULL = process.env.FAULTS === 'full';

/** Unset, as in `npm test`, FAULTS leaves out what takes long even scaled down; FAULTS=short runs that as well. */
export const ALL = process.env.FAULTS !== undefined;

const DIVISOR = FULL ? 1 : 10;

/** For names of tests and for the table of figures. */
export const SCALE = FULL ? 'full' : `1/${DIVISOR}`;

/** A count of jobs. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count / DIVISOR));
}

/** What does not scale by the divisor: how often a fault comes, how long an outage lasts. */
export function scale<Value>(by: { full: Value; short: Value }): Value {
  return FULL ? by.full : by.short;
}
