import { exceeds, retryAfter } from './queue-limits.js';

const depth = { maxDepth: 100, maxAge: 0 };
const age = { maxDepth: 0, maxAge: 10_000 };

it.each([
  ['at its depth', { waiting: 100, oldestWaiting: 1e9 }, depth, false],
  ['past its depth', { waiting: 101, oldestWaiting: 0 }, depth, true],
  ['at its age', { waiting: 1e9, oldestWaiting: 10_000 }, age, false],
  ['past its age', { waiting: 1, oldestWaiting: 10_001 }, age, true],
  ['empty', { waiting: 0, oldestWaiting: null }, { maxDepth: 1, maxAge: 1 }, false],
  ['without limits', { waiting: 1e9, oldestWaiting: 1e9 }, { maxDepth: 0, maxAge: 0 }, false],
])('judges a queue %s', (_name, counts, limits, expected) => {
  expect(exceeds(counts, limits)).toBe(expected);
});

it.each([
  ['the excess over the depth is gone', 150, depth, 10, 5],
  ['a part of a second is over', 101, depth, 10, 1],
  ['what waits takes no longer than the age', 300, age, 10, 20],
  ['both are within their limits', 300, { maxDepth: 290, maxAge: 10_000 }, 10, 20],
  ['a second at least has passed', 50, age, 10, 1],
  ['five minutes at most have passed', 1_000_000, depth, 1, 300],
  ['half a minute has passed where nothing ends', 150, depth, 0, 30],
  ['half a minute has passed where no rate is known', 150, depth, NaN, 30],
])('asks to wait until %s', (_name, waiting, limits, rate, expected) => {
  expect(retryAfter(waiting, limits, rate)).toBe(expected);
});
