import { Injectable } from '@nestjs/common';
import { JobTypeRegistry } from '../../job-types/job-type-registry.js';
import { acceptedData } from '../accepted-data.js';
import { OutboxRelay } from '../delivery/outbox-relay.js';
import { once, type Once, type SubmittedJob } from '../idempotency.js';
import { ContradictoryOptions, JobTypeNotFound, ValidationFailed } from '../job.errors.js';
import { JobRepository } from '../job-repository.js';
import type { Backoff, JobDraft, OnDuplicate } from '../job.js';
import { PendingSubmits } from '../overload/pending-submits.js';
import { QueueAdmission } from '../overload/queue-admission.js';
import { JobActivity } from '../statistics/job-activity.js';

export interface Submission {
  type: string;
  /** Kept as it is, once the type's schema has accepted it. */
  data: unknown;
  options?: SubmitOptions;
}

export interface SubmitJobInput extends Submission {
  tenant: string;
  /** Of several submits of a tenant with one key, the first makes the job, and the others are answered with it. */
  idempotencyKey?: string;
}

/** What a submit may decide for itself; the job type's defaults fill in the rest. */
export interface SubmitOptions {
  /** ms from now, by the database's clock. */
  delay?: number;
  runAt?: Date;
  priority?: number;
  attempts?: number;
  backoff?: Backoff;
  /** ms */
  timeout?: number;
  /** No attempt starts after this: the job then fails with code `EXPIRED`. */
  expiresAt?: Date;
  tags?: string[];
  /** Of a tenant's jobs that are not over, at most one has it. */
  dedupeKey?: string;
  /** `reject` where nothing is said. */
  onDuplicate?: OnDuplicate;
}

/** The caller's own transaction in the record's database. */
export interface Within {
  /** TypeORM's EntityManager, while its transaction is open. */
  manager: unknown;
}

/** Accepts work: answers only once the row is committed, and never waits for the queue. */
@Injectable()
export class SubmitJobUseCase {
  constructor(
    private readonly types: JobTypeRegistry,
    private readonly jobs: JobRepository,
    private readonly relay: OutboxRelay,
    private readonly activity: JobActivity,
    private readonly admission: QueueAdmission,
    private readonly pending: PendingSubmits,
  ) {}

  /**
   * @param within the job then exists if and only if this transaction commits; not together with an `idempotencyKey`
   * @throws ValidationFailed, ContradictoryOptions, DuplicateJob, IdempotencyKeyReused, IdempotencyInFlight, QueueFull, Overloaded,
   * RecordUnavailable
   */
  async execute(
    { tenant, idempotencyKey, ...submission }: SubmitJobInput,
    within?: Within,
  ): Promise<SubmittedJob> {
    assertKeyStandsAlone(idempotencyKey, within);
    const draft = this.draft(tenant, submission, idempotencyKey !== undefined);
    const [job] = await this.commit([draft], onceFor(idempotencyKey, 'submit', [submission]), within);
    return job as SubmittedJob;
  }

  /**
   * All or none.
   * @param idempotencyKey stands for all of them together
   * @param within as for `execute`
   * @throws what `execute` throws, with paths that start with `jobs.<index>`
   */
  async executeMany(
    tenant: string,
    submissions: readonly Submission[],
    idempotencyKey?: string,
    within?: Within,
  ): Promise<SubmittedJob[]> {
    assertKeyStandsAlone(idempotencyKey, within);
    const errors: ValidationFailed[] = [];
    const drafts = submissions.flatMap((submission, index) => {
      try {
        return [this.draft(tenant, submission, idempotencyKey !== undefined)];
      } catch (error) {
        if (!(error instanceof ValidationFailed)) throw error;
        errors.push(error.under(`jobs.${index}`));
        return [];
      }
    });
    if (errors.length > 0) throw allOf(errors);

    return this.commit(drafts, onceFor(idempotencyKey, 'submit many', submissions), within);
  }

  /**
   * What is replayed, or was there before, was handed over when it was new. Of what another's transaction will commit,
   * or not, the backlog relay hears from the record; it is never refused for want of room, since the transaction that
   * asks for it is open already.
   */
  private async commit(drafts: JobDraft[], once?: Once, within?: Within): Promise<SubmittedJob[]> {
    if (within) return this.jobs.insertWithin(within.manager, drafts);

    await this.admission.admit(drafts);
    const jobs = await this.pending.hold(drafts, () => this.jobs.insert(drafts, once));
    const fresh = jobs.filter(({ replayed, duplicate }) => !replayed && !duplicate);
    this.relay.wake(fresh);
    this.activity.submitted(fresh);
    return jobs;
  }

  /** What a submit would put on record. @throws ValidationFailed, ContradictoryOptions */
  draft(tenant: string, { type, data, options = {} }: Submission, keyed = false): JobDraft {
    const definition = this.types.find(type);
    if (!definition)
      throw new ValidationFailed([{ path: 'type', message: new JobTypeNotFound(type).message }]);

    assertConsistent(options, keyed);
    const { priority, attempts, backoff, timeout, ...others } = options;
    return {
      tenant,
      type,
      queue: definition.queue,
      ...acceptedData(definition, data),
      options: definition.options({ priority, attempts, backoff, timeout }),
      ...others,
    };
  }
}

/** What is not valid in itself goes before what contradicts itself. */
function allOf(errors: ValidationFailed[]): ValidationFailed {
  const contradictory = errors.every((error) => error instanceof ContradictoryOptions);
  const violations = errors.flatMap((error) => error.errors);
  return contradictory ? new ContradictoryOptions(violations) : new ValidationFailed(violations);
}

/** @throws ContradictoryOptions */
function assertConsistent(
  { delay, runAt, expiresAt, dedupeKey, onDuplicate }: SubmitOptions,
  keyed: boolean,
): void {
  const refuse = (option: keyof SubmitOptions, message: string): never => {
    throw new ContradictoryOptions([{ path: `options.${option}`, message }]);
  };
  if (runAt && delay !== undefined) refuse('runAt', 'cannot be given together with delay');
  if (runAt && expiresAt && expiresAt <= runAt) refuse('expiresAt', 'must be after runAt');
  if (onDuplicate && dedupeKey === undefined) refuse('onDuplicate', 'needs a dedupeKey');
  if (keyed && dedupeKey !== undefined)
    refuse(
      'dedupeKey',
      'cannot be given together with an Idempotency-Key: it says already what may be repeated',
    );
}

/** A key is taken for good or not at all, and a transaction may still be rolled back. @throws ContradictoryOptions */
function assertKeyStandsAlone(idempotencyKey: string | undefined, within: Within | undefined): void {
  if (!within || idempotencyKey === undefined) return;
  const message = 'cannot be given together with a transaction';
  throw new ContradictoryOptions([{ path: 'idempotencyKey', message }]);
}

/** By value, and as it was sent: what a type's defaults fill in may change between two tries. */
function onceFor(
  key: string | undefined,
  operation: string,
  submissions: readonly Submission[],
): Once | undefined {
  if (key === undefined) return undefined;
  const request = submissions.map(({ type, data, options = {} }) => ({ type, data, options }));
  return once(key, operation, request);
}
