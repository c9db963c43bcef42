/** What Redis tells of itself, by name. Empty where it does not let itself be asked. */
export type RedisInfo = Readonly<Record<string, string>>;

/** The server is not one that deliveries can run on. The message is one line for the operator. */
export class RedisUnfit extends Error {}

const OLDEST = [6, 2] as const;

/**
 * @param node its name in the Cluster that it was taken for a node of; empty where it was taken for a server alone
 * @throws RedisUnfit where it is too old, or a Cluster's node that was taken for a server alone
 */
export function assertFit(
  { redis_version: version, cluster_enabled: clustered }: RedisInfo,
  node = '',
): void {
  if (version && isOlderThan(version, OLDEST)) {
    const where = node && ` at ${node}`;
    throw new RedisUnfit(`Redis ${version}${where} is too old: ${OLDEST.join('.')} or newer is needed`);
  }
  if (clustered === '1' && !node) {
    throw new RedisUnfit(
      'Redis is a node of a Cluster, and REDIS_URL names a server alone: write redis+cluster://host:6379, or several nodes with commas between',
    );
  }
}

/** @throws RedisUnfit where a server that was taken for a node of a Cluster has said that it is none */
export function assertMode(error: Error | undefined): void {
  if (!error?.message.includes('cluster support disabled')) return;
  throw new RedisUnfit(
    'Redis is a server alone, and REDIS_URL says that it is a Cluster: write one address, such as redis://host:6379',
  );
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
