import pg from 'pg';
import type { DataSourceOptions } from 'typeorm';
import type { AppConfig } from '../config/app-config.js';
import { DeadLetterEntity } from './entities/dead-letter.entity.js';
import { DispatchEntity } from './entities/dispatch.entity.js';
import { DriftEntity } from './entities/drift.entity.js';
import { IdempotencyKeyEntity } from './entities/idempotency-key.entity.js';
import { JobAttemptEntity } from './entities/job-attempt.entity.js';
import { JobEventEntity } from './entities/job-event.entity.js';
import { JobLogEntity } from './entities/job-log.entity.js';
import { JobEntity } from './entities/job.entity.js';
import { OperationEntity } from './entities/operation.entity.js';
import { JobStatisticsEntity } from './entities/job-statistics.entity.js';
import { QueuePauseEntity } from './entities/queue-pause.entity.js';
import { LaneLeaseEntity } from './entities/lane-lease.entity.js';
import { RetentionRuleEntity } from './entities/retention-rule.entity.js';
import { RetentionSweepEntity } from './entities/retention-sweep.entity.js';
import { ScheduleFireEntity } from './entities/schedule-fire.entity.js';
import { ScheduleEntity } from './entities/schedule.entity.js';
import { TopologyEntity } from './entities/topology.entity.js';
import { WorkerEntity } from './entities/worker.entity.js';
import { FirstShape1764000000000 } from './migrations/1764000000000-first-shape.js';
import { LeasePerLane1764100000000 } from './migrations/1764100000000-lease-per-lane.js';
import { Drift1764300000000 } from './migrations/1764300000000-drift.js';
import { IdempotencyKeys1764200000000 } from './migrations/1764200000000-idempotency-keys.js';
import { SubmitOptions1764400000000 } from './migrations/1764400000000-submit-options.js';
import { Operations1764450000000 } from './migrations/1764450000000-operations.js';
import { KeptStatistics1764500000000 } from './migrations/1764500000000-kept-statistics.js';
import { Schedules1764600000000 } from './migrations/1764600000000-schedules.js';
import { Retention1764700000000 } from './migrations/1764700000000-retention.js';
import { RoomForUpdates1764800000000 } from './migrations/1764800000000-room-for-updates.js';
import { CompletedAttempts1764900000000 } from './migrations/1764900000000-completed-attempts.js';
import { watchedClient } from './watched-client.js';

/** A request waits this long for a connection, in ms; then the record counts as unavailable. */
const CONNECT_TIMEOUT = 900;

/** What every session is given as it starts, in ms. */
export const SESSION_LIMITS = {
  statement_timeout: 30_000,
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 30_000,
};

/** How this platform speaks to PostgreSQL. Migrations are never run by connecting. */
export function dataSourceOptions({ database }: Pick<AppConfig, 'database'>): DataSourceOptions {
  return {
    type: 'postgres',
    driver: pg, // else TypeORM looks for it by name, which no bundle sees
    url: database.url,
    entities: [
      DeadLetterEntity,
      DispatchEntity,
      DriftEntity,
      IdempotencyKeyEntity,
      JobAttemptEntity,
      JobEntity,
      JobEventEntity,
      JobLogEntity,
      JobStatisticsEntity,
      LaneLeaseEntity,
      OperationEntity,
      QueuePauseEntity,
      RetentionRuleEntity,
      RetentionSweepEntity,
      ScheduleEntity,
      ScheduleFireEntity,
      TopologyEntity,
      WorkerEntity,
    ],
    migrations: [
      FirstShape1764000000000,
      LeasePerLane1764100000000,
      IdempotencyKeys1764200000000,
      Drift1764300000000,
      SubmitOptions1764400000000,
      Operations1764450000000,
      KeptStatistics1764500000000,
      Schedules1764600000000,
      Retention1764700000000,
      RoomForUpdates1764800000000,
      CompletedAttempts1764900000000,
    ],
    migrationsTableName: 'migrations',
    synchronize: false,
    installExtensions: false,
    applicationName: 'job-queue-platform',
    poolSize: database.poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT,
    extra: {
      Client: watchedClient(),
      keepAlive: true,
      ...SESSION_LIMITS,
    },
  };
}
