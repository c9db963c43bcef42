import { estimateStart, type Outlook } from './estimate.js';

const at = new Date(Date.UTC(2026, 0, 1));
const idle: Outlook = {
  at,
  runAt: at,
  ahead: 0,
  active: 0,
  slots: 10,
  pace: { deliveries: 100, slotMs: 5_000 },
};

/** ms from now. */
function waits(outlook: Partial<Outlook>): [p50: number, p90: number] | null {
  const estimate = estimateStart({ ...idle, ...outlook });
  return estimate && [estimate.p50.getTime() - at.getTime(), estimate.p90.getTime() - at.getTime()];
}

it('is the latency of the way where a slot is free', () => {
  expect(waits({})).toEqual([100, 1_000]);
  expect(waits({ active: 5, ahead: 4 })).toEqual([100, 1_000]);
  expect(waits({ pace: { deliveries: 0, slotMs: 0 } })).toEqual([100, 1_000]);
});

it('is the time in which as many jobs end as go before it', () => {
  const [p50, p90] = waits({ active: 10, ahead: 999 })!;

  expect(p50).toBe(5_000 + 100);
  expect(p90).toBeGreaterThan(6_500);
  expect(p90).toBeLessThan(9_000);
});

it('doubts a short queue more than a long one, in proportion', () => {
  const part = (ahead: number) => {
    const [p50, p90] = waits({ active: 10, ahead })!;
    return (p90 - 1_000) / (p50 - 100);
  };

  expect(part(3)).toBeGreaterThan(part(300));
});

it('is never before the job is due, and drains what is ahead meanwhile', () => {
  const runAt = new Date(at.getTime() + 60_000);

  expect(waits({ runAt })).toEqual([60_100, 61_000]);
  expect(waits({ runAt, active: 10, ahead: 999 })).toEqual([60_100, 61_000]);
  expect(waits({ runAt, active: 10, ahead: 99_999 })![0]).toBe(500_000 + 100);
});

it('is none without a worker, and none for a queue that must move and was never seen to', () => {
  expect(waits({ slots: 0 })).toBeNull();
  expect(waits({ active: 10, ahead: 1, pace: { deliveries: 0, slotMs: 0 } })).toBeNull();
});
