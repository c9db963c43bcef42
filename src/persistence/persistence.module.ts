import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AppConfig } from '../config/app-config.js';
import { JobRepository } from '../jobs/job-repository.js';
import { StatisticsRepository } from '../jobs/statistics/statistics-repository.js';
import { OperationRepository } from '../operations/operation-repository.js';
import { ScheduleRepository } from '../schedules/schedule-repository.js';
import { WorkerRepository } from '../workers/worker-repository.js';
import { dataSourceOptions } from './data-source-options.js';
import { ExpiredKeys } from './expired-keys.js';
import { OldFires } from './old-fires.js';
import { OldJobs } from './old-jobs.js';
import { Partitions } from './partitions.js';
import { ReadDatabase } from './read-database.js';
import { TypeOrmJobRepository } from './typeorm-job-repository.js';
import { TypeOrmOperationRepository } from './typeorm-operation-repository.js';
import { TypeOrmScheduleRepository } from './typeorm-schedule-repository.js';
import { TypeOrmStatisticsRepository } from './typeorm-statistics-repository.js';
import { TypeOrmWorkerRepository } from './typeorm-worker-repository.js';

/** The record: PostgreSQL through TypeORM. */
@Global()
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      inject: [AppConfig],
      useFactory: (config: AppConfig) => ({ ...dataSourceOptions(config), retryAttempts: 0 }),
    }),
  ],
  providers: [
    Partitions,
    ExpiredKeys,
    OldFires,
    OldJobs,
    ReadDatabase,
    { provide: JobRepository, useClass: TypeOrmJobRepository },
    { provide: OperationRepository, useClass: TypeOrmOperationRepository },
    { provide: StatisticsRepository, useClass: TypeOrmStatisticsRepository },
    { provide: ScheduleRepository, useClass: TypeOrmScheduleRepository },
    { provide: WorkerRepository, useClass: TypeOrmWorkerRepository },
  ],
  exports: [JobRepository, OperationRepository, StatisticsRepository, ScheduleRepository, WorkerRepository],
})
export class PersistenceModule {}
