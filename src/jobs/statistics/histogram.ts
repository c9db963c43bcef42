/**
 * Times on a log scale, four slots to a doubling: slot 0 counts those under 1 ms, slot n those from 2^((n-1)/4) to
 * 2^(n/4) ms, the last one all above (42 days). A quantile is off by a tenth at most. Slots at the end that count
 * nothing are left out; histograms are merged by adding slot by slot.
 */
export type Histogram = number[];

const SLOTS = 128;
const PER_DOUBLING = 4;

/** @param ms below 0 counts as 0 */
export function slotOf(ms: number): number {
  if (!(ms >= 1)) return 0;
  return Math.min(SLOTS - 1, Math.floor(Math.log2(ms) * PER_DOUBLING) + 1);
}

export function count(into: Histogram, ms: number): void {
  const slot = slotOf(ms);
  while (into.length <= slot) into.push(0);
  into[slot] = (into[slot] ?? 0) + 1;
}

export function addAll(into: Histogram, more: Histogram): void {
  while (into.length < more.length) into.push(0);
  for (const [slot, n] of more.entries()) into[slot] = (into[slot] ?? 0) + n;
}

/**
 * In ms, interpolated within its slot on the same scale.
 * @param q 0 to 1 @returns null where nothing was counted
 */
export function quantile(counts: Histogram, q: number): number | null {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return null;

  let left = q * total;
  for (const [slot, n] of counts.entries()) {
    if (n > 0 && left <= n) return round(edgeOf(slot, left / n));
    left -= n;
  }
  return round(edgeOf(counts.length - 1, 1));
}

/** @param part of the slot, 0 to 1 */
function edgeOf(slot: number, part: number): number {
  return slot === 0 ? part : 2 ** ((slot - 1 + part) / PER_DOUBLING);
}

function round(ms: number): number {
  return Number(ms.toPrecision(3));
}
