import { DataSource } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import { TopologyEntity } from './entities/topology.entity.js';

/** This process and the installation disagree on where jobs are delivered. */
export class TopologyMismatch extends Error {}

/**
 * Backend, prefix and shard count are stored by the first process; whoever differs must not start, since its jobs
 * would go where no worker looks.
 * @throws TopologyMismatch naming each variable that differs
 */
export async function agreeOnTopology(database: DataSource, { queue }: AppConfig): Promise<void> {
  const repository = database.getRepository(TopologyEntity);
  const { backend, prefix, shards } = queue;
  await repository
    .createQueryBuilder()
    .insert()
    .values({ singleton: true, backend, prefix, shards })
    .orIgnore()
    .execute();

  const stored = await repository.findOneByOrFail({ singleton: true });
  const differences = [
    stored.backend !== backend && `QUEUE_BACKEND is ${backend}, the installation uses ${stored.backend}`,
    stored.prefix !== prefix && `QUEUE_PREFIX is ${prefix}, the installation uses ${stored.prefix}`,
    stored.shards !== shards && `QUEUE_SHARDS is ${shards}, the installation uses ${stored.shards}`,
  ].filter((difference) => difference !== false);

  if (differences.length > 0) throw new TopologyMismatch(differences.join('; '));
}
