import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Backoff, JobError, JobProgress, Json, TerminalStatus } from '../../jobs/job.js';

/** Written at submit and once an attempt, at its settlement. Live states are not here: they follow from `dispatch`. */
@Entity('jobs')
@Index('jobs_tenant_id', ['tenant', 'id'])
@Index('jobs_tenant_type_id', ['tenant', 'type', 'id'])
@Index('jobs_tags', ['tags'], { type: 'gin', where: 'tags IS NOT NULL' })
@Check('jobs_status_is_terminal', `status IN ('completed', 'failed', 'cancelled')`)
export class JobEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'jobs_pkey' })
  id!: string;

  @Column('text', { default: 'default' })
  tenant!: string;

  @Column('text')
  type!: string;

  @Column('text')
  queue!: string;

  @Column('json')
  data!: Json;

  @Column('smallint')
  priority!: number;

  @Column('smallint', { name: 'max_attempts' })
  maxAttempts!: number;

  @Column('json')
  backoff!: Backoff;

  @Column('integer', { name: 'timeout_ms' })
  timeout!: number;

  @Column('timestamptz', { name: 'run_at' })
  runAt!: Date;

  @Column('smallint', { default: 1 })
  run!: number;

  @Column('smallint', { name: 'attempts_made', default: 0 })
  attemptsMade!: number;

  /** Number of the latest settled delivery. */
  @Column('integer', { default: 1 })
  delivery!: number;

  @Column('text', { nullable: true })
  status!: TerminalStatus | null;

  @Column('json', { nullable: true })
  progress!: JobProgress | null;

  @Column('json', { nullable: true })
  result!: Json;

  @Column('json', { nullable: true })
  error!: JobError | null;

  @Column('timestamptz', { name: 'enqueued_at', nullable: true })
  enqueuedAt!: Date | null;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;

  /** Null where there are none, which costs the index nothing. */
  @Column('text', { array: true, nullable: true })
  tags!: string[] | null;

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  @Column('text', { name: 'dedupe_key', nullable: true })
  dedupeKey!: string | null;

  /** Of the attempt that completed the job, which stands here alone; null otherwise, and for jobs of 0.1.0. */
  @Column('uuid', { nullable: true })
  token!: string | null;

  /** `host:pid`, likewise. */
  @Column('text', { nullable: true })
  worker!: string | null;
}
