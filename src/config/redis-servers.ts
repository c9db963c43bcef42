/** Where a Redis listens. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** A Cluster: any of its nodes tells of the others. Name, password and TLS are the same on all. */
export interface RedisCluster {
  readonly nodes: readonly RedisNode[];
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
}

/** One server, as its URL, or a Cluster. */
export type RedisServers =
  | { readonly url: string; readonly cluster?: undefined }
  | { readonly url?: undefined; readonly cluster: RedisCluster };

const SCHEME = /^redis(s?)(\+cluster)?:\/\//;
/** Before the next address: a password may hold a comma. */
const SEPARATOR = /,(?=rediss?:\/\/)|,(?=[^@]*$)/;

/**
 * `redis://…` and `rediss://…` are one server. Several of them with commas between, or `redis+cluster://…` with one or
 * more addresses, are a Cluster; what follows a comma may leave out what comes before its host.
 * @returns undefined for what cannot be understood
 */
export function redisServers(given: string): RedisServers | undefined {
  const [scheme, secure = '', clustered] = SCHEME.exec(given) ?? [];
  if (scheme === undefined) return undefined;

  const prefix = `redis${secure}://`;
  const [first = '', ...others] = given.replace(SCHEME, prefix).split(SEPARATOR);
  if ([first, ...others].some(isRunTogether)) return undefined;
  if (!clustered && others.length === 0) return URL.canParse(given) ? { url: given } : undefined;

  const addresses = [first, ...others].map((item) => address(item.trim(), prefix));
  const found = addresses.filter((item) => item !== undefined);
  if (found.length < addresses.length || !found.every((item) => agrees(item, found[0]))) return undefined;

  const { username, password } = credentialsOf(found[0]);
  return {
    cluster: { nodes: found.map(nodeOf), username, password, tls: secure === 's' },
  };
}

/** Credentials repeated without a scheme would be taken for a part of the first password. */
function isRunTogether(item: string): boolean {
  return item.includes(',') && item.split('@').length > 2;
}

/** A Cluster has no numbered databases, so no path but `/0`. */
function address(item: string, prefix: string): URL | undefined {
  const text = item.includes('://') ? item : `${prefix}${item}`;
  if (!text.startsWith(prefix) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!isEncoded(`${url.username}${url.password}`)) return undefined;
  return url.hostname !== '' && /^\/?0?$/.test(url.pathname) && url.search === '' ? url : undefined;
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Half of the nodes with another password would be a mistake that shows late. */
function agrees(url: URL, first: URL | undefined): boolean {
  const silent = url.username === '' && url.password === '';
  return silent || (url.username === first?.username && url.password === first.password);
}

function credentialsOf(url: URL | undefined): { username?: string; password?: string } {
  return {
    username: decodeURIComponent(url?.username ?? '') || undefined,
    password: decodeURIComponent(url?.password ?? '') || undefined,
  };
}

function nodeOf({ hostname, port }: URL): RedisNode {
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 6379 : Number(port) };
}
