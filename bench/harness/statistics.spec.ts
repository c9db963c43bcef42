import { pairedRatios, quantile, rotated, spreadOf } from './statistics.js';

describe('statistics of a bench', () => {
  it('takes the middle value, or the mean of the middle two', () => {
    expect(spreadOf([9, 1, 4])).toEqual({ median: 4, min: 1, max: 9 });
    expect(spreadOf([9, 1, 4, 6])).toEqual({ median: 5, min: 1, max: 9 });
  });

  it('leaves the values in their order', () => {
    const values = [3, 1, 2];

    spreadOf(values);

    expect(values).toEqual([3, 1, 2]);
  });

  it('interpolates between two values', () => {
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9);
    expect(quantile([0, 10, 20, 30], 0.5)).toBe(15);
    expect(quantile([7], 0.99)).toBe(7);
  });

  it('pairs what happened in the same round, so that a slow round moves no ratio', () => {
    const [fast, slow] = [100, 10];

    expect(pairedRatios([2 * fast, 2 * slow], [fast, slow])).toEqual([2, 2]);
  });

  it('refuses what is not paired, and what is empty', () => {
    expect(() => pairedRatios([1, 2], [1])).toThrow('not paired');
    expect(() => spreadOf([])).toThrow('no values');
    expect(() => quantile([], 0.5)).toThrow('no values');
  });

  it('gives each contestant each place in turn', () => {
    const rounds = [0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''));

    expect(rounds).toEqual(['abc', 'bca', 'cab', 'abc']);
    expect(rotated([], 2)).toEqual([]);
  });
});
