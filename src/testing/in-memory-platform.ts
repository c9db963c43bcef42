import { Module, type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConfigModule } from '../config/config.module.js';
import { parseConfig } from '../config/parse-config.js';
import { JobTypesModule, queuesIn, type ModuleImport } from '../job-types/job-types.module.js';
import { Lanes } from '../jobs/delivery/lanes.js';
import { OutboxRelay } from '../jobs/delivery/outbox-relay.js';
import type { SubmittedJob } from '../jobs/idempotency.js';
import { InMemoryJobQueue } from '../jobs/in-memory-job-queue.js';
import { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { JobQueue } from '../jobs/job-queue.js';
import { JobRepository, type JobHistory } from '../jobs/job-repository.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { AttemptEnd } from '../jobs/running/attempt-end.js';
import { ClaimCheck } from '../jobs/running/claim-check.js';
import { DeferredClaims } from '../jobs/running/deferred-claims.js';
import { QuickTypes } from '../jobs/running/quick-types.js';
import { RunningJobs } from '../jobs/running/running-jobs.js';
import { Solitude } from '../jobs/running/solitude.js';
import { InMemoryStatisticsRepository } from '../jobs/statistics/in-memory-statistics-repository.js';
import { StatisticsRepository } from '../jobs/statistics/statistics-repository.js';
import { GetJobLogsUseCase } from '../jobs/use-cases/get-job-logs.use-case.js';
import { GetJobStatusUseCase } from '../jobs/use-cases/get-job-status.use-case.js';
import { RunJobUseCase } from '../jobs/use-cases/run-job.use-case.js';
import { SubmitJobUseCase, type SubmitOptions } from '../jobs/use-cases/submit-job.use-case.js';
import { WorkerIdentity } from '../jobs/worker-identity.js';

/** What has just been committed is left to the process that did; this much later (ms) it is anyone's to push. */
const NO_LONGER_FRESH = 600;

export interface InMemoryPlatformOptions {
  /** Modules that declare job types, as `EXTENSIONS` would load them. */
  modules: ModuleImport[];
  /** Variables, as in docs/configuration.md. */
  env?: Record<string, string>;
  tenant?: string;
}

/**
 * The platform in this process, without servers: for tests of job types, and of the modules around them. Jobs are
 * checked, recorded, run, timed out and tried again by the platform's own code, over a record in memory. Time there
 * stands still until `advance`; nothing runs until `runDue`.
 */
export class InMemoryPlatform {
  private constructor(
    private readonly app: INestApplicationContext,
    private readonly record: InMemoryJobRepository,
    private readonly queue: InMemoryJobQueue,
    private readonly tenant: string,
  ) {}

  /** @throws Error as a start of the platform does: a type without a handler, a name twice, a bad variable */
  static async start({
    modules,
    env = {},
    tenant = 'default',
  }: InMemoryPlatformOptions): Promise<InMemoryPlatform> {
    const record = new InMemoryJobRepository();
    const queue = new InMemoryJobQueue();
    const module = PlatformInMemoryModule.register(modules, env, record, queue);
    const app = await NestFactory.createApplicationContext(module, { abortOnError: false, logger: false });
    return new InMemoryPlatform(app, record, queue, tenant);
  }

  /** @throws ValidationFailed and what else a submit is refused with */
  submit(type: string, data: unknown, options?: SubmitOptions): Promise<SubmittedJob> {
    return this.app
      .get(SubmitJobUseCase, { strict: false })
      .execute({ tenant: this.tenant, type, data, options });
  }

  /** Runs what is due, one attempt after the other, until nothing is left. */
  async runDue(): Promise<void> {
    const relay = this.app.get(OutboxRelay, { strict: false });
    const runJob = this.app.get(RunJobUseCase, { strict: false });
    const lanes = this.app.get(Lanes, { strict: false }).all();
    this.record.advance(NO_LONGER_FRESH);
    for (let ran = true; ran;) {
      ran = false;
      await relay.relayBacklogs();
      for (const lane of lanes) {
        for (let next = this.queue.take(lane); next; next = this.queue.take(lane)) {
          await runJob.execute(next);
          this.queue.finish(next);
          ran = true;
        }
      }
    }
  }

  /** Lets `ms` pass by the record's clock, for delays and back-offs. */
  advance(ms: number): void {
    this.record.advance(ms);
  }

  /** All that is on record of a job. @throws JobNotFound */
  job(id: string): Promise<JobHistory> {
    return this.app.get(GetJobStatusUseCase, { strict: false }).execute({ tenant: this.tenant, id });
  }

  /** What its attempts have logged. @throws JobNotFound */
  async logs(id: string): Promise<string[]> {
    const logs = this.app.get(GetJobLogsUseCase, { strict: false });
    const { items } = await logs.execute({ tenant: this.tenant, id, limit: Number.MAX_SAFE_INTEGER });
    return items.map(({ line }) => line);
  }

  /** A provider of the modules, or of the platform. */
  get<T>(token: Type<T>): T {
    return this.app.get(token, { strict: false });
  }

  /** Ends the modules' providers, as a shutdown does. */
  async stop(): Promise<void> {
    await this.app.close();
  }
}

/** A worker's parts over the twins of its ports. */
@Module({})
class PlatformInMemoryModule {
  static register(
    modules: ModuleImport[],
    env: Record<string, string>,
    record: InMemoryJobRepository,
    queue: InMemoryJobQueue,
  ): DynamicModule {
    const stores = [
      { provide: JobRepository, useValue: record },
      { provide: JobQueue, useValue: queue },
      { provide: StatisticsRepository, useClass: InMemoryStatisticsRepository },
      { provide: Lanes, useValue: new Lanes(queuesIn(modules), 1) },
      { provide: WorkerIdentity, useValue: new WorkerIdentity([]) },
    ];
    return {
      module: PlatformInMemoryModule,
      global: true,
      imports: [
        ConfigModule.forRoot(parseConfig(env, 'standalone')),
        JobTypesModule.catalogue(modules),
        JobTypesModule.handlers(modules, () => true),
        JobsModule,
        ...modules,
      ],
      providers: [
        ...stores,
        RunJobUseCase,
        RunningJobs,
        AttemptEnd,
        ClaimCheck,
        DeferredClaims,
        QuickTypes,
        Solitude,
      ],
      exports: stores.map(({ provide }) => provide),
    };
  }
}
