import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { JobProgress } from '../../jobs/job.js';

/** One row a job that is not terminal: inserted with it, claimed by UPDATE, deleted by its final settlement. */
@Entity('dispatch')
@Index('dispatch_to_push', ['queue', 'shard', 'priority', 'runAt', 'jobId'], { where: 'pushed_at IS NULL' })
@Index('dispatch_unclaimed', ['queue', 'shard', 'jobId'], {
  where: 'pushed_at IS NOT NULL AND token IS NULL',
})
@Index('dispatch_expiring', ['expiresAt'], { where: 'expires_at IS NOT NULL' })
@Index('dispatch_dedupe', ['tenant', 'dedupeKey'], { unique: true, where: 'dedupe_key IS NOT NULL' })
@Index('dispatch_active', ['workerId'], { where: 'worker_id IS NOT NULL' })
@Check(
  'dispatch_claim_is_whole',
  `(token IS NULL) = (worker_id IS NULL) AND (token IS NULL) = (claimed_at IS NULL) AND (token IS NULL OR pushed_at IS NOT NULL)`,
)
export class DispatchEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'dispatch_pkey' })
  jobId!: string;

  @Column('text')
  tenant!: string;

  @Column('text')
  type!: string;

  @Column('text')
  queue!: string;

  @Column('smallint')
  shard!: number;

  @Column('smallint')
  priority!: number;

  @Column('timestamptz', { name: 'run_at' })
  runAt!: Date;

  @Column('integer', { default: 1 })
  delivery!: number;

  @Column('timestamptz', { name: 'pushed_at', nullable: true })
  pushedAt!: Date | null;

  /** The fencing token of the current claim. */
  @Column('uuid', { nullable: true })
  token!: string | null;

  @Column('uuid', { name: 'worker_id', nullable: true })
  workerId!: string | null;

  @Column('timestamptz', { name: 'claimed_at', nullable: true })
  claimedAt!: Date | null;

  /** Nothing else runs in its process now. */
  @Column('boolean', { default: false })
  alone!: boolean;

  @Column('smallint', { default: 0 })
  crashes!: number;

  @Column('smallint', { name: 'solo_crashes', default: 0 })
  soloCrashes!: number;

  @Column('json', { nullable: true })
  progress!: JobProgress | null;

  /** No attempt starts after this. */
  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  @Column('text', { name: 'dedupe_key', nullable: true })
  dedupeKey!: string | null;
}
