import type { DataSource, EntityManager } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import { TopologyEntity } from './entities/topology.entity.js';

/** This process and the installation disagree on where jobs are delivered. */
export class TopologyMismatch extends Error {}

/** Where jobs are delivered. */
export type Topology = Pick<AppConfig['queue'], 'backend' | 'prefix' | 'shards'>;

/**
 * Backend, prefix and shard count are stored by the first process; whoever differs must not start, since its jobs
 * would go where no worker looks.
 * @throws TopologyMismatch naming each variable that differs
 */
export async function agreeOnTopology(database: DataSource, { queue }: AppConfig): Promise<void> {
  const { backend, prefix, shards } = queue;
  await database
    .getRepository(TopologyEntity)
    .createQueryBuilder()
    .insert()
    .values({ singleton: true, backend, prefix, shards })
    .orIgnore()
    .execute();

  const stored = (await storedTopology(database.manager)) ?? queue;
  const differing = (['backend', 'prefix', 'shards'] as const).filter((part) => stored[part] !== queue[part]);
  if (differing.length === 0) return;

  const differences = differing.map(
    (part) => `QUEUE_${part.toUpperCase()} is ${queue[part]}, the installation uses ${stored[part]}`,
  );
  const flags = differing.map((part) => `--${part} ${queue[part]}`).join(' ');
  throw new TopologyMismatch(
    `${differences.join('; ')} (to change the installation, stop all of it and run \`npm run topology:set -- ${flags}\`)`,
  );
}

/** What all processes of the installation have agreed on; undefined before the first one has started. */
export async function storedTopology(manager: EntityManager): Promise<Topology | undefined> {
  return (await manager.getRepository(TopologyEntity).findOneBy({ singleton: true })) ?? undefined;
}
