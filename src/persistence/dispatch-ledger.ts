import type { DataSource } from 'typeorm';
import type { DueDelivery, QueuePause } from '../jobs/job-repository.js';
import type { Delivery, Lane } from '../jobs/job-queue.js';
import { QueuePauseEntity } from './entities/queue-pause.entity.js';
import { LaneLeaseEntity } from './entities/lane-lease.entity.js';
import { dataIn, LEAST_ID, SHOWN, type Shown } from './due-deliveries.js';
import { GroupCommit } from './group-commit.js';
import { PreparedStatement } from './prepared-statement.js';
import { plainArray, rowsOf } from './rows.js';

/**
 * Conditional on the same delivery and on nobody having claimed: a late mark must not swallow the next delivery. Who holds
 * a row just now most likely claims it, and needs no mark: none is waited for. A mark that is missing costs a push that
 * changes nothing, so that its commit need not wait for the disk.
 * Plan: lookups by job_id, and never the index over all that waits to be pushed, which `pushed_at IS NULL` would allow.
 */
const MARK_PUSHED = new PreparedStatement(
  'mark_pushed',
  `
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
pushed AS MATERIALIZED (SELECT p.* FROM quick, unnest($1::uuid[], $2::int[], $3::int[]) AS p(job_id, delivery, ago)),
free AS MATERIALIZED (
  SELECT d.job_id, p.ago FROM pushed p JOIN dispatch d ON d.job_id = p.job_id
  WHERE d.delivery = p.delivery AND num_nulls(d.token, d.pushed_at) = 2
  FOR UPDATE OF d SKIP LOCKED
)
UPDATE dispatch d SET pushed_at = now() - f.ago * interval '1 ms' FROM free f WHERE d.job_id = f.job_id
RETURNING d.job_id AS id`,
);

type Pushed = Delivery & { ago?: number };

const PUSHES = { rowsOf: (deliveries: readonly Pushed[]) => deliveries.length };

/** Plan: a range of dispatch_unclaimed. */
const UNCLAIMED = `
SELECT d.job_id, d.delivery, d.type, d.priority,
  ${SHOWN}
FROM dispatch d JOIN jobs j ON j.id = d.job_id
WHERE d.queue = $1 AND d.shard = $2 AND d.token IS NULL AND d.pushed_at IS NOT NULL
  AND d.pushed_at <= now() - $3 * interval '1 ms'
  AND d.job_id > $4
ORDER BY d.job_id
LIMIT $5`;

const REDELIVER = `
WITH lost AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::int[]) AS l(job_id, delivery)),
locked AS MATERIALIZED (
  SELECT d.job_id FROM lost l JOIN dispatch d ON d.job_id = l.job_id
  WHERE d.delivery = l.delivery AND d.token IS NULL AND d.pushed_at IS NOT NULL
  ORDER BY d.job_id FOR UPDATE OF d
),
again AS (
  UPDATE dispatch d SET pushed_at = NULL, delivery = d.delivery + 1 FROM locked l WHERE d.job_id = l.job_id
  RETURNING d.job_id
)
SELECT count(*)::int AS count FROM again`;

/** Rows are taken in one order, so that two askers cannot deadlock. */
const LEASE = `
WITH mine AS (
  INSERT INTO lane_leases (queue, shard, holder, expires_at)
  SELECT queue, shard, $1::uuid, now() + $4 * interval '1 ms'
  FROM unnest($2::text[], $3::smallint[]) AS l(queue, shard) ORDER BY shard, queue
  ON CONFLICT (queue, shard) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
  WHERE lane_leases.holder = excluded.holder OR lane_leases.expires_at < now()
  RETURNING queue, shard
)
SELECT queue, shard FROM mine ORDER BY shard, queue`;

/** Plan: a step over dispatch_to_push for each queue that occurs. */
const UNRELAYED = `
WITH RECURSIVE occurring(queue) AS (
  (SELECT queue FROM dispatch WHERE pushed_at IS NULL ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT d.queue FROM dispatch d WHERE d.pushed_at IS NULL AND d.queue > o.queue ORDER BY d.queue LIMIT 1)
  FROM occurring o WHERE o.queue IS NOT NULL
)
SELECT queue FROM occurring o
WHERE queue IS NOT NULL AND NOT EXISTS (
  SELECT FROM lane_leases l WHERE l.queue = o.queue AND l.expires_at >= now()
)
ORDER BY queue`;

interface UnclaimedRow extends Shown {
  job_id: string;
  delivery: number;
  type: string;
  priority: number;
}

/** What the relay and the reconciler read and write: which deliveries are pushed, or lost. */
export class DispatchLedger {
  readonly #marks = new GroupCommit(async (pushes: (readonly Pushed[])[]): Promise<Set<string>[]> => {
    const pushed = pushes.flat();
    const ago = pushed.map((delivery) => delivery.ago ?? 0);
    const rows = await MARK_PUSHED.rowsOf<{ id: string }>(this.database, [
      ...columns(pushed).map(plainArray),
      plainArray(ago),
    ]);
    const marked = new Set(rows.map(({ id }) => id));
    return pushes.map(() => marked);
  }, PUSHES);

  constructor(private readonly database: DataSource) {}

  /** Marks made at the same time share one statement. */
  async markPushed<P extends Pushed>(deliveries: readonly P[]): Promise<P[]> {
    const marked = await this.#marks.submit(deliveries);
    return deliveries.filter(({ jobId }) => marked.has(jobId));
  }

  async unclaimed(
    lane: Lane,
    page: { olderThan: number; after?: string; limit: number },
  ): Promise<DueDelivery[]> {
    const rows = await rowsOf<UnclaimedRow>(this.database, UNCLAIMED, [
      lane.queue,
      lane.shard,
      page.olderThan,
      page.after ?? LEAST_ID,
      page.limit,
    ]);
    return rows.map((row) => toDue(row, lane));
  }

  async redeliver(deliveries: readonly Delivery[]): Promise<number> {
    const [row] = await rowsOf<{ count: number }>(this.database, REDELIVER, columns(deliveries));
    return row?.count ?? 0;
  }

  async leaseLanes(holder: string, lanes: readonly Lane[], lease: number): Promise<Lane[]> {
    const queues = lanes.map(({ queue }) => queue);
    const shards = lanes.map(({ shard }) => shard);
    return rowsOf<Lane>(this.database, LEASE, [holder, queues, shards, lease]);
  }

  async unrelayed(): Promise<string[]> {
    const rows = await rowsOf<{ queue: string }>(this.database, UNRELAYED);
    return rows.map(({ queue }) => queue);
  }

  async returnLanes(holder: string): Promise<void> {
    await this.database.getRepository(LaneLeaseEntity).delete({ holder });
  }

  async pause(queue: string): Promise<void> {
    await this.database.getRepository(QueuePauseEntity).upsert({ queue }, ['queue']);
  }

  async resume(queue: string): Promise<void> {
    await this.database.getRepository(QueuePauseEntity).delete({ queue });
  }

  async pauses(): Promise<QueuePause[]> {
    const pauses = await this.database.getRepository(QueuePauseEntity).find({ order: { queue: 'ASC' } });
    return pauses.map(({ queue, pausedAt }) => ({ queue, since: pausedAt }));
  }
}

function columns(deliveries: readonly Delivery[]): [string[], number[]] {
  return [deliveries.map(({ jobId }) => jobId), deliveries.map(({ delivery }) => delivery)];
}

function toDue(row: UnclaimedRow, lane: Lane): DueDelivery {
  const { job_id: jobId, delivery, type, priority } = row;
  return { ...lane, jobId, delivery, type, priority, ...dataIn(row) };
}
