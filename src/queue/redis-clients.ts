import { Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisCluster, RedisServers } from '../config/redis-servers.js';

/** Producers fail fast: nothing waits for a connection, and a hung server costs one timeout. */
const PRODUCER: RedisOptions = {
  commandTimeout: 2_000,
  connectTimeout: 2_000,
  disconnectTimeout: 500,
  maxRetriesPerRequest: 1,
};
const PRODUCER_ALONE: RedisOptions = {
  ...PRODUCER,
  lazyConnect: true,
  enableOfflineQueue: false,
  retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
};
const PRODUCER_CLUSTER: ClusterOptions = {
  redisOptions: PRODUCER,
  lazyConnect: true,
  enableOfflineQueue: false,
  // A call to a node that is away is tried again so often, and fails then; meanwhile the slots may have moved.
  maxRedirections: 4,
  retryDelayOnFailover: 100,
  // A node that was away is asked again only once the slots are read anew.
  slotsRefreshInterval: 2_000,
  clusterRetryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
};

/** Consumers wait: a command timeout would break their blocking reads. */
const CONSUMER: RedisOptions = {
  maxRetriesPerRequest: null,
  connectTimeout: 5_000,
  disconnectTimeout: 500,
};
const CONSUMER_ALONE: RedisOptions = {
  ...CONSUMER,
  retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
};
const CONSUMER_CLUSTER: ClusterOptions = {
  // Longer than any read blocks: a connection to a node that was given up does not outlast its shards' move elsewhere.
  redisOptions: { ...CONSUMER, socketTimeout: 15_000 },
  maxRedirections: 8,
  retryDelayOnFailover: 300,
  clusterRetryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
};

const EVERY_CLUSTER: ClusterOptions = {
  // Asks a node at hazard, which may be the one that hangs.
  enableReadyCheck: false,
  slotsRefreshTimeout: 1_000,
  // Nodes are known by the names that they go by, else their certificates would not fit.
  dnsLookup: (name, found) => found(null, name),
};

/** What pushes and looks. It connects when it is told to. */
export function producerClient({ url, cluster }: RedisServers): Redis | Cluster {
  if (!cluster) return new Redis(url, PRODUCER_ALONE);
  return new Cluster(seedsOf(cluster), optionsOf(cluster, PRODUCER_CLUSTER));
}

export type ConsumerConnection = (RedisOptions & { url: string }) | Cluster;

/**
 * What BullMQ's workers are given. From options each opens connections of its own, and closes them; a Cluster's client they
 * share, but for the reads that block, and BullMQ leaves it open.
 */
export function consumerConnection({ url, cluster }: RedisServers): ConsumerConnection {
  if (!cluster) return { url, ...CONSUMER_ALONE };
  const shared = new Cluster(seedsOf(cluster), optionsOf(cluster, CONSUMER_CLUSTER));
  shared.setMaxListeners(0);
  shared.on('error', () => undefined); // workers listen as well, and tell
  return shared;
}

/** Once its workers are closed. */
export function releaseConsumers(connection: ConsumerConnection): void {
  if (connection instanceof Cluster) connection.disconnect();
}

/** For one command of an operator: it waits for its answer longer, and does not try again. */
export function operatorClient({ url, cluster }: RedisServers): Redis | Cluster {
  const options: RedisOptions = { connectTimeout: 2_000, commandTimeout: 10_000 };
  if (!cluster) return new Redis(url, { ...options, lazyConnect: true, retryStrategy: () => null });
  return new Cluster(
    seedsOf(cluster),
    optionsOf(cluster, { redisOptions: options, lazyConnect: true, clusterRetryStrategy: () => null }),
  );
}

function seedsOf({ nodes }: RedisCluster): ClusterNode[] {
  return nodes.map(({ host, port }) => ({ host, port }));
}

function optionsOf({ username, password, tls }: RedisCluster, options: ClusterOptions): ClusterOptions {
  const redisOptions = { ...options.redisOptions, username, password, ...(tls && { tls: {} }) };
  return { ...EVERY_CLUSTER, ...options, redisOptions };
}
