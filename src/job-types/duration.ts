const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500` (ms) or `'500ms'`, `'2s'`, `'5m'`, `'1h'`, `'7d'`. */
export type Duration = number | `${number}${keyof typeof UNITS}`;

/** @returns whole milliseconds. @throws RangeError for anything else than a positive duration or 0 */
export function toMs(duration: Duration): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(
    typeof duration === 'number' ? `${duration}ms` : duration,
  ) ?? ['', 'NaN', 'ms'];
  const ms = Math.round(Number(amount) * UNITS[unit as keyof typeof UNITS]);

  if (!Number.isSafeInteger(ms))
    throw new RangeError(`"${duration}" is not a duration such as 500, '2s' or '5m'`);
  return ms;
}
