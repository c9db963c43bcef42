import type { Result } from './results.js';
import type { Bar } from './scenario.js';
import { verdictsOf } from './verdict.js';

describe('bars of a bench', () => {
  it('holds the median of the paired ratios against bar and stretch', () => {
    const [verdict] = verdictsOf(
      resultOf({ figure: 'jobs', of: 'ours', against: 'theirs', better: 'higher', bar: 2, stretch: 3 }),
    );

    expect(verdict).toMatchObject({ reached: { median: 2, min: 1.5, max: 4 }, met: true, stretched: false });
  });

  it('holds a figure by itself where there is nobody to compare it with', () => {
    const [verdict] = verdictsOf(
      resultOf({ figure: 'p99', of: 'ours', better: 'lower', bar: 10, stretch: 5 }),
    );

    expect(verdict).toMatchObject({ reached: { median: 6 }, met: true, stretched: false });
  });

  it('does not let a lower figure pass where more is better', () => {
    const [verdict] = verdictsOf(resultOf({ figure: 'p99', of: 'ours', better: 'higher', bar: 10 }));

    expect(verdict).toMatchObject({ met: false, stretched: undefined });
  });

  it('leaves out the bars of whoever took no part', () => {
    expect(verdictsOf(resultOf({ figure: 'jobs', of: 'nobody', better: 'higher', bar: 1 }))).toEqual([]);
    expect(verdictsOf(resultOf({ figure: 'jobs', of: 'ours', against: 'nobody', better: 'higher' }))).toEqual(
      [],
    );
  });
});

function resultOf(bar: Bar): Result {
  const samples = {
    ours: [
      { jobs: 40, p99: 6 },
      { jobs: 20, p99: 4 },
      { jobs: 15, p99: 20 },
    ],
    theirs: [{ jobs: 10 }, { jobs: 10 }, { jobs: 10 }],
  };
  return { bars: [bar], samples } as unknown as Result;
}
