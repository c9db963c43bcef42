/** The middle of some values, and how far they reach. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** @throws Error where there is no value */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new Error('no values, no spread');
  return { median: quantile(sorted, 0.5), min, max };
}

/**
 * Of values in ascending order; between two of them it is interpolated (type 7 of Hyndman and Fan, "Sample Quantiles in
 * Statistical Packages", 1996).
 * @throws Error where there is no value
 */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (low === undefined || high === undefined) throw new Error('no values, no quantile');
  return low + (high - low) * (at - Math.floor(at));
}

/**
 * The ratios of what two contestants did in the same round: what the machine was busy with meanwhile held up both.
 * @throws Error where a round has only one of them
 */
export function pairedRatios(values: readonly number[], against: readonly number[]): number[] {
  if (values.length !== against.length)
    throw new Error(`${values.length} rounds against ${against.length} are not paired`);
  return values.map((value, round) => value / (against[round] ?? Number.NaN));
}

/** Each takes each place in turn, so that none is always first, or always after the same. */
export function rotated<Item>(items: readonly Item[], round: number): Item[] {
  const start = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
