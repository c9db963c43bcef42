import type { LiveCounts } from '../jobs/job-repository.js';

/** A worker process that serves a queue. */
export interface Serving {
  id: string;
  host: string;
  pid: number;
  /** Jobs of the queue at once. */
  concurrency: number;
}

/** One queue, as one tenant sees it: its own jobs, and what all share. */
export interface QueueState extends Omit<LiveCounts, 'queue'> {
  name: string;
  pausedSince: Date | null;
  /** Jobs a second over the last `seconds`: accepted, and ended by workers. */
  rates: { in: number; out: number; seconds: number };
  shards: number;
  /** Without those that count as dead. */
  workers: Serving[];
}
