import { Global, Module } from '@nestjs/common';
import { JobsModule } from './jobs.module.js';
import { Reaper } from './delivery/reaper.js';
import { AttemptEnd } from './running/attempt-end.js';
import { ClaimCheck } from './running/claim-check.js';
import { DeferredClaims } from './running/deferred-claims.js';
import { QuickTypes } from './running/quick-types.js';
import { RunningJobs } from './running/running-jobs.js';
import { Solitude } from './running/solitude.js';
import { WorkerLifecycle } from './running/worker-lifecycle.js';
import { RunJobUseCase } from './use-cases/run-job.use-case.js';

/** What a worker adds: running what is delivered. Needs Heartbeat, Consumers and WorkerIdentity beside the ports. */
@Global()
@Module({
  imports: [JobsModule],
  providers: [
    RunJobUseCase,
    RunningJobs,
    AttemptEnd,
    ClaimCheck,
    DeferredClaims,
    QuickTypes,
    Solitude,
    Reaper,
    WorkerLifecycle,
  ],
  exports: [RunJobUseCase],
})
export class RunJobsModule {}
