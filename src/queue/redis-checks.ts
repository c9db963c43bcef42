/** What Redis tells of itself, by name. Empty where it does not let itself be asked. */
export type RedisInfo = Readonly<Record<string, string>>;

/** The server is not one that deliveries can run on. The message is one line for the operator. */
export class RedisUnfit extends Error {}

const OLDEST = [6, 2] as const;

/** @throws RedisUnfit where the server is too old */
export function assertFit({ redis_version: version }: RedisInfo): void {
  if (version && isOlderThan(version, OLDEST)) {
    throw new RedisUnfit(`Redis ${version} is too old: ${OLDEST.join('.')} or newer is needed`);
  }
}

/** What works, but not as well as it could: each a line for the operator, with what to change. */
export function* warningsOf({ maxmemory_policy: policy, aof_enabled: aof }: RedisInfo): Generator<string> {
  if (policy && policy !== 'noeviction') {
    yield `Redis may evict deliveries (maxmemory-policy is ${policy}): the record replaces them, but late; set maxmemory-policy noeviction`;
  }
  if (aof === '0') {
    yield 'Redis forgets its deliveries at a restart (appendonly is no): nothing is lost, since the record fills the queue again, but deliveries on their way come later; set appendonly yes';
  }
}

function isOlderThan(version: string, [major, minor]: readonly [number, number]): boolean {
  const [actualMajor = 0, actualMinor = 0] = version.split('.').map(Number);
  return actualMajor < major || (actualMajor === major && actualMinor < minor);
}
