const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i;

/**
 * An RFC 3339 timestamp, from 1970 to 9999 (job ids hold no earlier time).
 * @returns undefined for anything else, such as a time without an offset or 30 February
 */
export function parseTimestamp(text: string): Date | undefined {
  const day = TIMESTAMP.exec(text)?.[1];
  return day && isDay(day) ? within(new Date(text.toUpperCase())) : undefined;
}

/** The same, or a date, which stands for its midnight in UTC. */
export function parseDateOrTimestamp(text: string): Date | undefined {
  return DATE.test(text) ? (isDay(text) ? within(new Date(text)) : undefined) : parseTimestamp(text);
}

/** JavaScript takes 30 February for 2 March. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function within(date: Date): Date | undefined {
  const year = date.getUTCFullYear();
  return year >= 1970 && year <= 9999 ? date : undefined;
}
