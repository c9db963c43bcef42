import { Cron } from 'croner';
import cronstrue from 'cronstrue';
import { type Duration, toMs } from '../job-types/duration.js';
import { InvalidSchedule } from './schedule.errors.js';

/** When a schedule fires: by a cron expression on the clocks of a time zone, or every so many ms since 1970 in UTC. */
export type Timing = { cron: string; timezone: string } | { every: number };

/** What was asked for; one of `cron` and `every`. */
export interface TimingInput {
  /** Five fields, or six with seconds in front. */
  cron?: string;
  /** IANA name; UTC where nothing is said. Only with `cron`. */
  timezone?: string;
  every?: Duration;
}

const LEAST_INTERVAL = 1_000;
const GREATEST_INTERVAL = 366 * 86_400_000;

/** @throws InvalidSchedule for what can never fire, or not as it is written */
export function timingOf({ cron, every, timezone }: TimingInput): Timing {
  if (cron === undefined && every === undefined) refuse('cron', 'either cron or every is required');
  if (cron !== undefined && every !== undefined) refuse('every', 'cannot be given together with cron');
  if (every === undefined) return cronTiming(cron ?? '', timezone ?? 'UTC');
  if (timezone !== undefined) refuse('timezone', 'cannot be given together with every: its grid is in UTC');
  return { every: intervalOf(every) };
}

/** The first time after a moment; undefined where there is none. */
export function nextFire(timing: Timing, after: Date): Date | undefined {
  if ('every' in timing) return new Date((Math.floor(after.getTime() / timing.every) + 1) * timing.every);
  return parsed(timing).nextRun(after) ?? undefined;
}

/** The next so many times after a moment. */
export function nextFires(timing: Timing, after: Date, count: number): Date[] {
  const times: Date[] = [];
  for (let next = nextFire(timing, after); next && times.length < count; next = nextFire(timing, next))
    times.push(next);
  return times;
}

export function isSameTiming(one: Timing, other: Timing): boolean {
  if ('every' in one) return 'every' in other && one.every === other.every;
  return 'cron' in other && one.cron === other.cron && one.timezone === other.timezone;
}

/** `At 09:00, Monday through Friday (Europe/Berlin)`, `Every 15 minutes` */
export function inWords(timing: Timing): string {
  if ('every' in timing) return everyInWords(timing.every);
  const { cron, timezone } = timing;
  const words = cronstrue.toString(cron, { use24HourTimeFormat: true, throwExceptionOnParseError: false });
  return `${words} (${timezone})`;
}

function cronTiming(cron: string, timezone: string): Timing {
  if (!isTimezone(timezone)) refuse('timezone', 'is not a time zone of the IANA database');
  const timing = { cron, timezone };
  let next: Date | undefined;
  try {
    next = nextFire(timing, new Date());
  } catch (error) {
    refuse('cron', reasonOf(error));
  }
  if (!next) refuse('cron', 'never comes: no such day is in the calendar');
  return timing;
}

function intervalOf(every: Duration): number {
  const ms = msOf(every);
  if (ms === undefined || ms < LEAST_INTERVAL || ms > GREATEST_INTERVAL)
    refuse('every', 'must be 1 second to 366 days');
  return ms;
}

/** Undefined for what is no duration, or a longer one than a number can hold. */
function msOf(duration: Duration): number | undefined {
  try {
    return toMs(duration);
  } catch {
    return undefined;
  }
}

function parsed({ cron, timezone }: { cron: string; timezone: string }): Cron {
  return new Cron(cron, { timezone, mode: '5-or-6-parts', paused: true });
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return /^[A-Za-z]/.test(timezone);
  } catch {
    return false;
  }
}

/** croner's own, without its name in front. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `is not a cron expression: ${message.replace(/^CronPattern: /, '')}`;
}

const UNITS = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
  [1, 'millisecond'],
] as const;

function everyInWords(ms: number): string {
  const [size, unit] = UNITS.find(([of]) => ms % of === 0) ?? [1, 'millisecond'];
  const count = ms / size;
  return count === 1 ? `Every ${unit}` : `Every ${count} ${unit}s`;
}

function refuse(path: string, message: string): never {
  throw new InvalidSchedule([{ path, message }]);
}
