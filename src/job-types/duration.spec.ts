import { toMs, type Duration } from './duration.js';

it.each<[Duration, number]>([
  [0, 0],
  [500, 500],
  ['500ms', 500],
  ['2s', 2_000],
  ['1.5s', 1_500],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  [0.4, 0],
])('reads %j as %d ms', (duration, ms) => {
  expect(toMs(duration)).toBe(ms);
});

it.each([-1, NaN, Infinity, 1e21, '', '5', '5 s', '-5s', '5w', '1e3s', 's', '99999999999999d'])(
  'refuses %j',
  (duration) => {
    expect(() => toMs(duration as Duration)).toThrow(RangeError);
  },
);
