import { InvalidSchedule } from './schedule.errors.js';
import {
  inWords,
  isSameTiming,
  nextFire,
  nextFires,
  type Timing,
  type TimingInput,
  timingOf,
} from './timing.js';

const BERLIN = 'Europe/Berlin';
const NEW_YORK = 'America/New_York';

function times(timing: Timing, after: string, count: number): string[] {
  return nextFires(timing, new Date(after), count).map((time) => time.toISOString());
}

function refusal(input: TimingInput): string[] {
  try {
    timingOf(input);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSchedule);
    return (error as InvalidSchedule).errors.map(({ path }) => path);
  }
  return [];
}

describe('a cron schedule', () => {
  it('fires by the clocks of its time zone, in summer as in winter', () => {
    const timing = timingOf({ cron: '30 9 * * 1-5', timezone: BERLIN });

    expect(times(timing, '2026-07-03T00:00:00Z', 2)).toEqual([
      '2026-07-03T07:30:00.000Z',
      '2026-07-06T07:30:00.000Z',
    ]);
    expect(times(timing, '2026-12-31T12:00:00Z', 1)).toEqual(['2027-01-01T08:30:00.000Z']);
  });

  it('is in UTC where no time zone is named', () => {
    expect(times(timingOf({ cron: '0 12 * * *' }), '2026-07-01T00:00:00Z', 1)).toEqual([
      '2026-07-01T12:00:00.000Z',
    ]);
  });

  it('may name the second', () => {
    expect(times(timingOf({ cron: '*/20 * * * * *' }), '2026-01-01T00:00:00.001Z', 3)).toEqual([
      '2026-01-01T00:00:20.000Z',
      '2026-01-01T00:00:40.000Z',
      '2026-01-01T00:01:00.000Z',
    ]);
  });

  it('waits for a leap year', () => {
    expect(times(timingOf({ cron: '0 0 29 2 *' }), '2026-01-01T00:00:00Z', 1)).toEqual([
      '2028-02-29T00:00:00.000Z',
    ]);
  });

  it('fires on a day that either of its two day fields names', () => {
    expect(times(timingOf({ cron: '0 0 13 * 5' }), '2026-01-08T12:00:00Z', 3)).toEqual([
      '2026-01-09T00:00:00.000Z',
      '2026-01-13T00:00:00.000Z',
      '2026-01-16T00:00:00.000Z',
    ]);
  });

  it.each<[string, TimingInput]>([
    ['cron', {}],
    ['cron', { cron: '60 * * * *' }],
    ['cron', { cron: '* * * *' }],
    ['cron', { cron: '* * * * * * *' }],
    ['cron', { cron: '0 0 30 2 *' }],
    ['cron', { cron: 'a b c d e' }],
    ['timezone', { cron: '* * * * *', timezone: 'Europe/Atlantis' }],
    ['timezone', { cron: '* * * * *', timezone: '+01:00' }],
    ['timezone', { every: '15m', timezone: BERLIN }],
    ['every', { cron: '* * * * *', every: '15m' }],
    ['every', { every: 999 }],
    ['every', { every: '367d' }],
    ['every', { every: '99999999999d' }],
  ])('is refused, naming %s: %j', (field, input) => {
    expect(refusal(input)).toEqual([field]);
  });
});

/** Berlin goes from 02:00 to 03:00 at 01:00Z in March, and from 03:00 back to 02:00 at 01:00Z in October. */
describe('when clocks are changed', () => {
  it.each<[string, string, string, string[]]>([
    ['one time in the gap comes at its end', '30 2 * * *', '2026-03-29', ['29T01:00', '30T00:30']],
    ['and so does the first minute of it', '0 2 * * *', '2026-03-29', ['29T01:00', '30T00:00']],
    ['several times in the gap are left out', '*/30 2 * * *', '2026-03-29', ['30T00:00', '30T00:30']],
    ['hours go on without a gap', '0 * * * *', '2026-03-29', ['29T00:00', '29T01:00', '29T02:00']],
    ['one time that comes twice fires once, the first', '30 2 * * *', '2026-10-25', ['25T00:30', '26T01:30']],
    [
      'several times that come twice fire twice',
      '*/30 2 * * *',
      '2026-10-25',
      ['25T00:00', '25T00:30', '25T01:00', '25T01:30', '26T01:00'],
    ],
    ['hours go on without a pause', '0 * * * *', '2026-10-25', ['25T00:00', '25T01:00', '25T02:00']],
    ['midnight stays midnight', '0 0 * * *', '2026-10-25', ['25T23:00', '26T23:00']],
  ])('in Berlin %s', (_what, cron, day, expected) => {
    const before = new Date(new Date(`${day}T00:00:00Z`).getTime() - 1).toISOString();

    expect(times({ cron, timezone: BERLIN }, before, expected.length)).toEqual(
      expected.map((time) => `${day.slice(0, 8)}${time}:00.000Z`),
    );
  });

  it.each<[string, string, string, string[]]>([
    ['one time in the gap comes at its end', '30 2 * * *', '2026-03-08', ['08T07:00', '09T06:30']],
    ['one time that comes twice fires once, the first', '30 1 * * *', '2026-11-01', ['01T05:30', '02T06:30']],
    ['several fire twice', '30 1-2 * * *', '2026-11-01', ['01T05:30', '01T06:30', '01T07:30', '02T06:30']],
  ])('in New York %s', (_what, cron, day, expected) => {
    expect(times({ cron, timezone: NEW_YORK }, `${day}T04:00:00Z`, expected.length)).toEqual(
      expected.map((time) => `${day.slice(0, 8)}${time}:00.000Z`),
    );
  });

  it.each([
    ['30 2 * * *', BERLIN, '2026-03-28T20:00:00Z'],
    ['*/7 * * * *', BERLIN, '2026-03-28T20:00:00Z'],
    ['30 2 * * *', BERLIN, '2026-10-24T20:00:00Z'],
    ['*/30 1-3 * * *', BERLIN, '2026-10-24T20:00:00Z'],
    ['30 1 * * *', NEW_YORK, '2026-11-01T00:00:00Z'],
    ['0 */6 * * *', NEW_YORK, '2026-03-08T00:00:00Z'],
  ])('%s in %s has the same times from wherever one looks', (cron, timezone, from) => {
    const timing = { cron, timezone };
    const start = new Date(from).getTime();
    const known = nextFires(timing, new Date(start - 1), 400);

    for (let at = start; at < start + 86_400_000; at += 11 * 60_000 + 17)
      expect(nextFire(timing, new Date(at))).toEqual(known.find((time) => time.getTime() > at));
  });
});

describe('an interval', () => {
  it('is a grid that does not depend on when it was made', () => {
    const timing = timingOf({ every: '15m' });

    expect(times(timing, '2026-01-01T00:07:12Z', 2)).toEqual([
      '2026-01-01T00:15:00.000Z',
      '2026-01-01T00:30:00.000Z',
    ]);
    expect(times(timing, '2026-01-01T00:15:00Z', 1)).toEqual(['2026-01-01T00:30:00.000Z']);
    expect(times(timingOf({ every: 900_000 }), '2026-01-01T00:14:59.999Z', 1)).toEqual([
      '2026-01-01T00:15:00.000Z',
    ]);
  });

  it('does not notice a change of clocks', () => {
    expect(times(timingOf({ every: '1h' }), '2026-03-29T00:30:00Z', 3)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-29T02:00:00.000Z',
      '2026-03-29T03:00:00.000Z',
    ]);
  });
});

it('a timing is the same where it says the same', () => {
  const hourly = { cron: '0 * * * *', timezone: 'UTC' };

  expect(isSameTiming(hourly, { ...hourly })).toBe(true);
  expect(isSameTiming(hourly, { ...hourly, timezone: BERLIN })).toBe(false);
  expect(isSameTiming(hourly, { every: 3_600_000 })).toBe(false);
  expect(isSameTiming({ every: 3_600_000 }, timingOf({ every: '1h' }))).toBe(true);
});

it.each<[Timing, string]>([
  [{ cron: '30 9 * * 1-5', timezone: BERLIN }, 'At 09:30, Monday through Friday (Europe/Berlin)'],
  [{ cron: '*/20 * * * * *', timezone: 'UTC' }, 'Every 20 seconds (UTC)'],
  [{ cron: '0 0 L * *', timezone: 'UTC' }, 'At 00:00, on the last day of the month (UTC)'],
  [{ every: 900_000 }, 'Every 15 minutes'],
  [{ every: 3_600_000 }, 'Every hour'],
  [{ every: 1_500 }, 'Every 1500 milliseconds'],
])('%j in words: %s', (timing, words) => {
  expect(inWords(timing)).toBe(words);
});
