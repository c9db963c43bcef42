/**
 * A job's shard follows from its id, so that every process finds it without asking.
 * The last 16 bits of a UUIDv7 are random; the same formula stands in SQL as `job_shard`.
 */
export function shardOf(jobId: string, shards: number): number {
  return Number.parseInt(jobId.slice(-4), 16) % shards;
}
