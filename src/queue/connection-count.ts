import type { AppConfig } from '../config/app-config.js';
import { lanesOf } from './lanes.js';

/** For queries; each worker keeps one more for LISTEN. */
export const QUERY_CONNECTIONS = 4;

/**
 * Connections to PostgreSQL that the queue takes at most in a process; none where Redis is the queue.
 * @param queues those that a worker in the process serves
 */
export function queueConnectionCount({ queue }: AppConfig, queues: readonly string[]): number {
  return queue.backend === 'postgres' ? QUERY_CONNECTIONS + lanesOf(queues, queue.shards).length : 0;
}
