import { addAll, count, quantile, slotOf, type Histogram } from './histogram.js';

function of(...times: number[]): Histogram {
  const counts: Histogram = [];
  for (const ms of times) count(counts, ms);
  return counts;
}

describe('a histogram', () => {
  it('tells every quantile within a tenth', () => {
    const times = Array.from({ length: 10_000 }, (_, n) => 1.0013 ** n);
    const counts = of(...times);

    for (const q of [0.1, 0.5, 0.9, 0.99, 0.999]) {
      const exact = times[Math.ceil(q * times.length) - 1]!;
      expect(quantile(counts, q)! / exact).toBeGreaterThan(0.9);
      expect(quantile(counts, q)! / exact).toBeLessThan(1.1);
    }
  });

  it('tells nothing where nothing was counted', () => {
    expect(quantile([], 0.5)).toBeNull();
    expect(quantile([0, 0], 0.5)).toBeNull();
  });

  it.each([-5, 0, 0.4, Number.NaN])('counts %p ms in the first slot', (ms) => {
    expect(slotOf(ms)).toBe(0);
    expect(quantile(of(ms), 0.5)).toBeLessThan(1);
  });

  it('counts what is above all slots in the last', () => {
    expect(of(1e15)).toHaveLength(128);
    expect(quantile(of(1e15), 0.5)).toBeLessThan(1e10);
  });

  it('is as long as its greatest time needs', () => {
    expect(of(0)).toEqual([1]);
    expect(of(1, 2)).toEqual([0, 1, 0, 0, 0, 1]);
  });

  it('merges with a longer and with a shorter one', () => {
    const [short, long] = [of(1), of(4, 0)];

    const both = [...short];
    addAll(both, long);
    addAll(long, short);

    expect(both).toEqual(of(0, 1, 4));
    expect(long).toEqual(both);
  });
});
