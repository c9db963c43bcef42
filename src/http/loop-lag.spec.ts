import { setTimeout as sleep } from 'node:timers/promises';
import { LoopLag } from './loop-lag.js';

/** Ticks that come so late (ms), one after the other. */
function after(limit: number, ...lags: number[]): LoopLag {
  const loop = new LoopLag(limit);
  let now = 0;
  loop.tick(now);
  for (const lag of lags) loop.tick((now += 100 + lag));
  return loop;
}

it('is over its limit where every tick of a second is late', () => {
  expect(after(500, 600, 600, 600).overLimit).toBe(true);
  expect(after(500, 600, 600, 600).lag).toBe(600);
});

it.each([
  ['the loop was stopped once', [60_000]],
  ['a second is not over', [600, 600]],
  ['a tick was in time', [600, 600, 600, 0, 600]],
  ['ticks are late by less', [499, 499, 499, 499, 499]],
])('is not where %s', (_name, lags) => {
  expect(after(500, ...lags).overLimit).toBe(false);
});

it('has no limit where that is 0', () => {
  expect(after(0, 60_000, 60_000, 60_000).overLimit).toBe(false);
});

it('notices a loop that is blocked again and again', async () => {
  const loop = new LoopLag(50);
  loop.onApplicationBootstrap();
  const blocking = setInterval(() => {
    const end = performance.now() + 250;
    while (performance.now() < end);
  }, 1);

  let over = false;
  for (let waited = 0; !over && waited < 100; waited++) {
    await sleep(1);
    over = loop.overLimit;
  }
  clearInterval(blocking);
  loop.onApplicationShutdown();

  expect(over).toBe(true);
});
