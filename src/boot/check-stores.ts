import type { AppConfig } from '../config/app-config.js';
import { assertMigrated, assertRoomFor, withDatabase } from '../persistence/database-checks.js';
import { agreeOnTopology } from '../persistence/topology.js';
import type { Platform } from '../platform.module.js';
import { queueConnectionCount } from '../queue/postgres-backend.js';

/** Connections outside the pools: the heartbeat's. */
const SINGLE_CONNECTIONS = 1;

/**
 * What must hold before Nest is started. @throws DatabaseUnfit or TopologyMismatch with one line for the operator */
export async function checkStores({ config, queues }: Platform): Promise<void> {
  await withDatabase(oneConnection(config), async (database) => {
    await assertMigrated(database);
    await agreeOnTopology(database, config);
    await assertRoomFor(
      database,
      config.database.poolSize + queueConnectionCount(config, queues) + SINGLE_CONNECTIONS,
    );
  });
}

function oneConnection({ database }: AppConfig): Pick<AppConfig, 'database'> {
  return { database: { ...database, poolSize: 1 } };
}
