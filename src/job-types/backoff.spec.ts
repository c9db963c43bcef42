import { backoffDelay, exponential, fixed } from './backoff.js';

it('waits the same before every retry when it is fixed', () => {
  expect([1, 2, 100].map((failures) => backoffDelay(fixed('3s'), failures))).toEqual([3_000, 3_000, 3_000]);
});

it('doubles with each failure when it is exponential', () => {
  expect([1, 2, 3, 4].map((failures) => backoffDelay(exponential('2s'), failures))).toEqual([
    2_000, 4_000, 8_000, 16_000,
  ]);
});

it('never waits longer than its cap, which is an hour where none is given', () => {
  expect(backoffDelay(exponential('2s', '10s'), 4)).toBe(10_000);
  expect(backoffDelay(exponential('2s'), 100)).toBe(3_600_000);
});

it('grows no longer than a day where nobody capped it', () => {
  expect(backoffDelay({ kind: 'exponential', delay: 1_000 }, 5_000)).toBe(86_400_000);
});

it('does not wait at all when it is told 0', () => {
  expect(backoffDelay(exponential(0), 100)).toBe(0);
});

it('takes off what chance says, at most the share that is named', () => {
  const jittery = exponential('2s', '1h', 0.5);

  expect([0, 0.5, 1].map((chance) => backoffDelay(jittery, 1, chance))).toEqual([2_000, 1_500, 1_000]);
  expect(backoffDelay(fixed('2s', 1), 1, 1)).toBe(0);
  expect(backoffDelay(fixed('2s'), 1, 1)).toBe(2_000);
});
