/** What the hand-written API and worker share: one table, one BullMQ queue. */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';

export const QUEUE = 'jobs';

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

/** No index but the key, which is kind to its updates: a list by status would ask for one. */
const TABLE = `
CREATE TABLE IF NOT EXISTS jobs (
  id uuid PRIMARY KEY,
  type text NOT NULL,
  data jsonb NOT NULL,
  status text NOT NULL DEFAULT 'waiting',
  result jsonb,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz
)`;

export const makeTable = () => pool.query(TABLE);

export const connect = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

export const openQueue = () =>
  new Queue(QUEUE, {
    connection: connect(),
    defaultJobOptions: {
      attempts: 3,
      backoff: { type: 'exponential', delay: 1_000 },
      removeOnComplete: { count: 1_000 },
      removeOnFail: { count: 1_000 },
    },
  });
