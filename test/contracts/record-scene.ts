import { randomUUID } from 'node:crypto';
import type { Lane } from '../../src/jobs/job-queue.js';
import type { Claim, ClaimRequest, JobRepository } from '../../src/jobs/job-repository.js';
import type { Job, JobAttempt, JobDraft, JobError } from '../../src/jobs/job.js';
import { aDraft } from '../support/job-drafts.js';

/** One implementation, and what happens around it. */
export interface RecordUnderTest {
  jobs: JobRepository;
  /** The same record, seen from another process. */
  other: JobRepository;
  /** The same record, or another, with so many shards. */
  withShards(shards: number): JobRepository;
  /** Makes all that is on record `ms` older, ids excepted. */
  advance(ms: number): Promise<void>;
  /** Lets `ms` pass. */
  wait(ms: number): Promise<void>;
  /** A heartbeat of the process `host:1`. */
  beat(workerId: string): Promise<void>;
  knowsWorker(workerId: string): Promise<boolean>;
  /** Commits what `work` does by the transaction that it is given, unless it throws. */
  transaction<T>(work: (transaction: unknown) => Promise<T>): Promise<T>;
  events(jobId: string): Promise<{ kind: string; detail: unknown }[]>;
  goDown(): Promise<void>;
  /** Returns when it answers again. */
  comeBack(): Promise<void>;
}

export const anError: JobError = { code: 'HANDLER_ERROR', message: 'no route to host', stack: 'at …' };

/** What one test works with: a tenant, a queue and a worker that no other test knows. */
export class Scene {
  readonly tenant = `tenant-${randomUUID()}`;
  readonly queue = `queue-${randomUUID()}`;
  readonly workerId = randomUUID();
  readonly lane: Lane = { queue: this.queue, shard: 0 };

  constructor(private readonly under: RecordUnderTest) {}

  get jobs(): JobRepository {
    return this.under.jobs;
  }

  draft(more: Partial<JobDraft> = {}): JobDraft {
    return aDraft({ tenant: this.tenant, queue: this.queue, ...more });
  }

  async submit(more: Partial<JobDraft> = {}): Promise<Job> {
    const [job] = await this.jobs.insert([this.draft(more)]);
    return job!;
  }

  submitMany(count: number): Promise<Job[]> {
    return this.jobs.insert(Array.from({ length: count }, (_, n) => this.draft({ data: { n } })));
  }

  /** As the record has it now. */
  async found({ id }: { id: string }): Promise<Job> {
    return (await this.jobs.find(this.tenant, id))!;
  }

  /** Those on record of a job; none where the tenant has no such job. */
  async attempts(id: string): Promise<JobAttempt[]> {
    return (await this.jobs.history(this.tenant, id))?.attempts ?? [];
  }

  request({ id, delivery }: Job, more: Partial<ClaimRequest> = {}): ClaimRequest {
    return { jobId: id, delivery, token: randomUUID(), workerId: this.workerId, ...more };
  }

  /** Claims the job's current delivery. */
  async claim(job: Job, more: Partial<ClaimRequest> = {}): Promise<Claim> {
    const answer = await this.jobs.claim(this.request(await this.found(job), more));
    if (answer.kind !== 'claimed') throw new Error(`The claim was answered with "${answer.kind}"`);
    return answer.claim;
  }

  async claimNew(more: Partial<JobDraft> = {}): Promise<Claim> {
    return this.claim(await this.submit(more));
  }

  complete({ jobId, token }: Claim, result: Job['result'] = null): Promise<boolean> {
    return this.jobs.settle({ jobId, token, outcome: 'completed', result });
  }

  fail({ jobId, token }: Claim, retryIn?: number): Promise<boolean> {
    return this.jobs.settle({ jobId, token, outcome: 'failed', error: anError, retryIn });
  }

  async failedJob(more: Partial<JobDraft> = {}): Promise<Job> {
    const claim = await this.claimNew(more);
    await this.fail(claim);
    return this.found({ id: claim.jobId });
  }

  async push(...jobs: Job[]): Promise<void> {
    await this.jobs.markPushed(jobs.map(({ id, delivery }) => ({ jobId: id, delivery })));
  }

  /** Old enough to be anyone's to push. */
  async age(): Promise<void> {
    await this.under.advance(1_000);
  }

  async dueIds(limit = 1_000): Promise<string[]> {
    return (await this.jobs.due(this.lane, limit)).map(({ jobId }) => jobId);
  }
}

export function idsOf(jobs: readonly { id: string }[]): string[] {
  return jobs.map(({ id }) => id);
}

/** What the parts of the suite are given; the record exists once the tests run. */
export interface Suite {
  scene(): Scene;
  record(): RecordUnderTest;
}
