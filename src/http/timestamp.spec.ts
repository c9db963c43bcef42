import { parseDateOrTimestamp, parseTimestamp } from './timestamp.js';

describe('parseTimestamp', () => {
  it.each([
    ['2026-11-24T09:30:00Z', '2026-11-24T09:30:00.000Z'],
    ['2026-11-24t09:30:00.5z', '2026-11-24T09:30:00.500Z'],
    ['2026-11-24T09:30:00+02:00', '2026-11-24T07:30:00.000Z'],
    ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000Z'],
  ])('takes %s', (text, expected) => {
    expect(parseTimestamp(text)?.toISOString()).toBe(expected);
  });

  it.each([
    '2026-11-24',
    '2026-11-24T09:30:00',
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-11-24T24:30:00Z',
    '2026-11-24T09:30:00 02:00',
    '0000-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '9999-12-31T23:59:59-01:00',
    'yesterday',
    '',
  ])('refuses %j', (text) => {
    expect(parseTimestamp(text)).toBeUndefined();
  });
});

describe('parseDateOrTimestamp', () => {
  it('takes a date for its midnight in UTC', () => {
    expect(parseDateOrTimestamp('2026-11-24')?.toISOString()).toBe('2026-11-24T00:00:00.000Z');
  });

  it.each(['2026-13-01', '2026-02-30', '2026-1-1', '1969-12-31'])('refuses %s', (text) => {
    expect(parseDateOrTimestamp(text)).toBeUndefined();
  });
});
