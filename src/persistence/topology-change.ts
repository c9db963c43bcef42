import type { DataSource, EntityManager } from 'typeorm';
import { TopologyEntity } from './entities/topology.entity.js';
import { rowsOf } from './rows.js';
import type { Topology } from './topology.js';

/** The installation runs, or must not be changed so. The message is one line for the operator. */
export class TopologyChangeRefused extends Error {}

/** What a change has come to. */
export interface TopologyChange {
  /** Jobs whose shard is another now. */
  moved: number;
  /** Deliveries that were in the old queues, and will be made again in the new ones. */
  withdrawn: number;
}

/** As old as the heartbeat of a worker that counts as dead. */
const WORKERS_ALIVE = `
SELECT host || ':' || pid AS worker FROM workers
WHERE heartbeat_at > clock_timestamp() - interval '10 s' ORDER BY worker`;

const LANES_HELD = `
SELECT queue || '-' || shard AS lane FROM lane_leases WHERE expires_at > clock_timestamp() ORDER BY queue, shard`;

/**
 * A delivery that is in a queue is withdrawn: the next one has another number, so that whatever still holds the old one
 * delivers nothing. A claim of a worker that died keeps its token until it is reaped.
 * Plan: one pass over \`dispatch\`; rows that stay as they are are not written.
 */
const MOVE = `
WITH due AS MATERIALIZED (
  SELECT job_id, job_shard(job_id, $1) AS shard, shard <> job_shard(job_id, $1) AS moves,
    pushed_at IS NOT NULL AND token IS NULL AS pushed
  FROM dispatch
),
changed AS (
  UPDATE dispatch d SET shard = due.shard,
    delivery = d.delivery + due.pushed::int,
    pushed_at = CASE WHEN NOT due.pushed THEN d.pushed_at END
  FROM due
  WHERE d.job_id = due.job_id AND (due.moves OR due.pushed)
  RETURNING due.moves, due.pushed
)
SELECT count(*) FILTER (WHERE moves)::int AS moved, count(*) FILTER (WHERE pushed)::int AS withdrawn FROM changed`;

/**
 * Changes where jobs are delivered, in one transaction: either the record and every live job have the new topology, or
 * nothing has changed. A process that starts meanwhile waits, and then reads the new one.
 * @param emptyQueues runs last, before the commit: what it has emptied is filled again if the commit fails
 * @throws TopologyChangeRefused while a process of the installation runs
 */
export async function changeTopology(
  database: DataSource,
  wanted: Topology,
  emptyQueues: () => Promise<void>,
): Promise<TopologyChange> {
  return database.transaction(async (manager) => {
    await manager.query(`SET LOCAL statement_timeout = 0`);
    await manager.query(`SET LOCAL idle_in_transaction_session_timeout = 0`);
    await manager.query(`LOCK TABLE topology, lane_leases, workers IN ACCESS EXCLUSIVE MODE`);
    await assertStopped(manager);

    const [change] = await rowsOf<TopologyChange>(manager, MOVE, [wanted.shards]);
    await manager.query(`DELETE FROM lane_leases`);
    await manager.getRepository(TopologyEntity).save({ singleton: true, ...wanted });
    await emptyQueues();
    return change ?? { moved: 0, withdrawn: 0 };
  });
}

/** The queues of jobs that are not over. */
export async function liveQueues(database: DataSource): Promise<string[]> {
  const rows = await rowsOf<{ queue: string }>(database, `SELECT DISTINCT queue FROM dispatch`);
  return rows.map(({ queue }) => queue);
}

async function assertStopped(manager: EntityManager): Promise<void> {
  const workers = await rowsOf<{ worker: string }>(manager, WORKERS_ALIVE);
  const lanes = await rowsOf<{ lane: string }>(manager, LANES_HELD);
  const running = [
    workers.length > 0 && `alive: worker ${workers.map(({ worker }) => worker).join(', ')}`,
    lanes.length > 0 && `relayed: ${lanes.map(({ lane }) => lane).join(', ')}`,
  ].filter((part) => part !== false);
  if (running.length === 0) return;

  throw new TopologyChangeRefused(
    `The installation runs (${running.join('; ')}): stop every API, worker and dashboard first; one that died counts for 10 s more`,
  );
}
