import { AppLogger } from '../logging/app-logger.js';
import { assertMigrated, assertRoomFor, withDatabase } from '../persistence/database-checks.js';
import { databaseWarnings } from '../persistence/database-warnings.js';
import { agreeOnTopology } from '../persistence/topology.js';
import type { Platform } from '../platform.js';
import { queueConnectionCount } from '../queue/connection-count.js';

/** Connections outside the pools: the heartbeat's. */
const SINGLE_CONNECTIONS = 1;

/**
 * What must hold before Nest is started; what should is warned of.
 * @throws DatabaseUnfit or TopologyMismatch with one line for the operator
 */
export async function checkStores({ config, queues }: Platform): Promise<void> {
  await withDatabase(config, async (database) => {
    await assertMigrated(database);
    await agreeOnTopology(database, config);
    const connections = config.database.poolSize + queueConnectionCount(config, queues) + SINGLE_CONNECTIONS;
    await assertRoomFor(database, config.processes * connections, config.processes);
    const logger = new AppLogger(config.log);
    for (const warning of await databaseWarnings(database)) logger.warn(warning, 'Database');
  });
}
