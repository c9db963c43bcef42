import { type Result, valuesOf } from './results.js';
import type { Bar } from './scenario.js';
import { pairedRatios, type Spread, spreadOf } from './statistics.js';

/** A bar, what was reached, and whether that is enough: the median decides. */
export interface Verdict extends Bar {
  reached: Spread;
  met?: boolean;
  stretched?: boolean;
}

/** Bars whose contestants were left out are left out too. */
export function verdictsOf(result: Result): Verdict[] {
  return result.bars.flatMap((bar) => {
    const values = valuesOf(result, bar.of, bar.figure);
    const others = bar.against === undefined ? undefined : valuesOf(result, bar.against, bar.figure);
    if (values.length === 0 || others?.length === 0) return [];

    const reached = spreadOf(others ? pairedRatios(values, others) : values);
    return [{ ...bar, reached, ...judged(bar, reached.median) }];
  });
}

function judged({ better, bar, stretch }: Bar, reached: number): Pick<Verdict, 'met' | 'stretched'> {
  const passes = (asked: number): boolean => (better === 'higher' ? reached >= asked : reached <= asked);
  return {
    met: bar === undefined ? undefined : passes(bar),
    stretched: stretch === undefined ? undefined : passes(stretch),
  };
}
