import { Logger } from '@nestjs/common';
import { Refusals } from './refusals.js';

afterEach(() => jest.restoreAllMocks());

it('counts all, and tells of all in a line every ten seconds at most', () => {
  let now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
  const refusals = new Refusals('no room');

  for (now = 0; now <= 10_000; now += 1_000) refusals.add({ queue: 'mail' });

  expect(refusals.count).toBe(11);
  expect(warn.mock.calls).toEqual([
    ['submits refused', { why: 'no room', count: 1, queue: 'mail' }],
    ['submits refused', { why: 'no room', count: 10, queue: 'mail' }],
  ]);
});
