import { isIP, isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import type { AllowedDestination, ServedQueue, StatusDays } from './app-config.js';
import { redisServers } from './redis-servers.js';

/** Reads one variable's text; what it refuses is reported with `expected`. */
export type Parser<Value> = z.ZodType<Value, string>;

/** That a finished job is kept, where it is not for ever. */
export const MOST_DAYS = 3_650;

export const text = parser('some text', (given) => given);

export const flag: Parser<boolean> = choice('on', 'off').transform((word) => word === 'on');

export const bytes = parser('a size up to 100mb, such as 512kb, 1mb or 65536', (given) => {
  const [, amount, unit = 'b'] = /^(\d+)(b|kb|mb)?$/i.exec(given) ?? [];
  const size = Number(amount) * 1024 ** ['b', 'kb', 'mb'].indexOf(unit.toLowerCase());
  return size >= 1 && size <= 100 * 1024 ** 2 ? size : undefined;
});

export const queuePrefix = parser('1 to 40 letters, digits, - or _', matching(/^[\w-]{1,40}$/));

export const redis = parser(
  'redis://host:6379 or rediss://host:6380, or the nodes of a Cluster, such as redis://a:6379,redis://b:6379 or redis+cluster://a:6379',
  redisServers,
);

export const sender = parser(
  'an address, such as jobs@example.com or Jobs <jobs@example.com>',
  matching(/^(?:[^\s<>@]+@[^\s<>@]+|[^<>\p{Cc}]*<[^\s<>@]+@[^\s<>@]+>)$/u),
);

export const servedQueues = parser(
  'queues with how many jobs may run at once (1 to 1000), such as default:50,emails:10',
  (given) => {
    const queues = items(given, servedQueue);
    return new Set(queues?.map(({ name }) => name)).size === queues?.length ? queues : undefined;
  },
);

export const statusDays: Parser<StatusDays> = parser(
  'completed, failed or cancelled with days (0: for ever), such as failed:90,cancelled:0',
  (given) => {
    const days = items(given, daysOfStatus);
    const named = new Map(days);
    return named.size === days?.length ? Object.fromEntries(named) : undefined;
  },
);

export const corsOrigins = parser(
  '* or origins, such as https://app.example.com,http://localhost:5173 (no path, no slash at the end)',
  (given) => (given === '*' ? ['*'] : items(given, origin)),
);

export const apiKeys = parser(
  'keys of at least 16 printable characters without spaces, separated by commas',
  (given) => items(given, matching(/^[!-~]{16,}$/)),
);

export const hosts = parser(
  'host names without a port, separated by commas, such as jobs.example.com',
  (given) => items(given, matching(/^[\w-]+(?:\.[\w-]+)*$/)),
);

export const destinations = parser(
  'hosts, hosts with a port, or networks, such as hooks.internal,10.0.0.5:8080,[fd00::5]:8080,10.1.0.0/16',
  (given) => items(given, (item) => network(item) ?? host(item)),
);

export const files = parser('files, separated by commas', (given) => items(given, matching(/./)));

export function integer(least: number, most: number): Parser<number> {
  return parser(`a whole number from ${least} to ${most}`, (given) => wholeNumber(given, least, most));
}

export function choice<Word extends string>(...words: Word[]): Parser<Word> {
  return parser(words.join(' or '), (given) => words.find((word) => word === given));
}

/** @param example shows which protocols, without a real password */
export function url(protocols: string[], example: string): Parser<string> {
  return parser(`a URL such as ${example}`, (given) => {
    // `user@/name?host=/run/postgresql` is good for PostgreSQL, and bad for the URL standard.
    const standard = given.replace('@/', '@localhost/');
    if (!URL.canParse(standard)) return undefined;
    return protocols.includes(new URL(standard).protocol.slice(0, -1)) ? given : undefined;
  });
}

/** @param read returns undefined for what it does not understand */
function parser<Value>(expected: string, read: (given: string) => Value | undefined): Parser<Value> {
  return z.string().transform((given, context) => {
    const value = read(given);
    if (value !== undefined) return value;

    context.issues.push({ code: 'custom', message: expected, input: given });
    return z.NEVER;
  });
}

/** A comma list. One bad or empty item spoils it: half a list of keys or queues is worse than none. */
function items<Item>(given: string, read: (item: string) => Item | undefined): Item[] | undefined {
  const found = given.split(',').map((item) => read(item.trim()));
  const good = found.filter((item) => item !== undefined);
  return good.length === found.length ? good : undefined;
}

function servedQueue(item: string): ServedQueue | undefined {
  const [, name, amount] = /^([a-z][a-z0-9_]{0,62}):(\d+)$/.exec(item) ?? [];
  const concurrency = wholeNumber(amount ?? '', 1, 1_000);
  return name === undefined || concurrency === undefined ? undefined : { name, concurrency };
}

function daysOfStatus(item: string): [status: string, days: number] | undefined {
  const [, status, amount = ''] = /^(completed|failed|cancelled):(\d+)$/.exec(item) ?? [];
  const days = wholeNumber(amount, 0, MOST_DAYS);
  return status === undefined || days === undefined ? undefined : [status, days];
}

function network(item: string): AllowedDestination | undefined {
  const [, address = '', length = ''] = /^([\da-f.:]+)\/(\d+)$/i.exec(item) ?? [];
  const prefix = wholeNumber(length, 0, isIPv4(address) ? 32 : 128);
  return isIP(address) && prefix !== undefined ? { host: address, prefix } : undefined;
}

function host(item: string): AllowedDestination | undefined {
  const [, six, name = '', digits] = isIPv6(item)
    ? [item, item]
    : (/^(?:\[(.+)\]|([\w-]+(?:\.[\w-]+)*))(?::(\d+))?$/.exec(item) ?? []);
  const found = six === undefined ? nameInUrls(name.toLowerCase()) : withoutZone(six);
  if (found === undefined) return undefined;
  if (digits === undefined) return { host: found };

  const port = wholeNumber(digits, 1, 65_535);
  return port === undefined ? undefined : { host: found, port };
}

function withoutZone(address: string): string | undefined {
  return isIPv6(address) && !address.includes('%') ? address : undefined;
}

/** An odd spelling such as 127.1 or 0x7f.1 would never match, since a URL turns it into something else. */
function nameInUrls(name: string): string | undefined {
  return URL.canParse(`http://${name}`) && new URL(`http://${name}`).hostname === name ? name : undefined;
}

function origin(item: string): string | undefined {
  return /^https?:/.test(item) && URL.canParse(item) && new URL(item).origin === item ? item : undefined;
}

function wholeNumber(given: string, least: number, most: number): number | undefined {
  const number = /^\d+$/.test(given) ? Number(given) : NaN;
  return number >= least && number <= most ? number : undefined;
}

function matching(pattern: RegExp): (given: string) => string | undefined {
  return (given) => (pattern.test(given) ? given : undefined);
}
