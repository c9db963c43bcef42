import { Module, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { JobTypesModule } from '../../../src/job-types/job-types.module.js';
import { JobQueue, QueueUnavailable } from '../../../src/jobs/job-queue.js';
import { JobRepository, type ClaimAnswer } from '../../../src/jobs/job-repository.js';
import { RecordUnavailable } from '../../../src/jobs/job.errors.js';
import { JobsProcessor } from '../../../src/queue/jobs.processor.js';
import { EffectsStoreModule } from './effects.js';
import { failpoints, type Failpoint } from './failpoints.js';
import { EffectsJob, FencedEffectsJob, KillsProcess } from './job-types.js';
import { poisoned } from './poison.js';

type Call = (...parameters: never[]) => Promise<unknown>;

const lostRecord = () => new RecordUnavailable(new Error('failpoint'));
const lostQueue = () => new QueueUnavailable(new Error('failpoint'));

/**
 * Job types whose runs can be counted, and failpoints around the calls of the delivery protocol. The platform knows
 * nothing of them: they are wrapped around its objects when the process starts.
 */
@Module({
  imports: [
    JobTypesModule.register({
      types: [EffectsJob, FencedEffectsJob, KillsProcess],
      imports: [EffectsStoreModule],
    }),
  ],
})
export default class FaultsModule implements OnModuleInit {
  constructor(private readonly container: ModuleRef) {}

  onModuleInit(): void {
    const jobs = this.container.get(JobRepository, { strict: false });
    const queue = this.container.get(JobQueue, { strict: false });

    const insert = jobs.insert.bind(jobs);
    jobs.insert = (drafts, once) => insert(drafts.map(poisoned), once);
    around(jobs, 'insert', { before: 'before-commit', after: 'after-commit', lost: lostRecord });
    around(queue, 'push', { before: 'before-push', after: 'after-push', lost: lostQueue });
    around(jobs, 'markPushed', { after: 'after-mark', lost: lostRecord });
    around(jobs, 'claim', { after: 'after-claim', lost: lostRecord, counts: isClaimed });
    around(jobs, 'settle', { before: 'before-settle', after: 'after-settle', lost: lostRecord });
    around(jobs, 'settleWith', { before: 'before-settle', after: 'after-settle', lost: lostRecord });
    around(jobs, 'releaseAll', { before: 'before-release-all', lost: lostRecord });
    around(jobs, 'reap', { after: 'after-reap', lost: lostRecord, counts: isSome });
    // Nest binds the method of each lane's own class when it registers the workers, which comes later.
    around(JobsProcessor.prototype, 'process', { after: 'before-acknowledge' });
  }
}

interface Points {
  before?: Failpoint;
  after?: Failpoint;
  lost?: () => Error;
  /** Only such answers count as passages. */
  counts?: (answer: never) => boolean;
}

function around<Name extends string>(
  target: Record<Name, Call>,
  name: Name,
  { before, after, lost, counts = () => true }: Points,
): void {
  const call = target[name];
  target[name] = async function (this: unknown, ...parameters: never[]) {
    if (before) await failpoints.pass(before, lost);
    const answer = await call.apply(this, parameters);
    if (after && counts(answer as never)) await failpoints.pass(after, lost);
    return answer;
  };
}

function isClaimed({ kind }: ClaimAnswer): boolean {
  return kind === 'claimed';
}

function isSome(answer: readonly unknown[]): boolean {
  return answer.length > 0;
}
