import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import type { JobError } from '../../jobs/job.js';

/** One attempt that failed; one that completed its job stands in `jobs`. Its token makes a repeated settlement recognisable. */
@Entity('job_attempts')
@Check('job_attempts_outcome', `outcome IN ('completed', 'failed')`)
export class JobAttemptEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'job_attempts_pkey' })
  jobId!: string;

  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'job_attempts_pkey' })
  run!: number;

  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'job_attempts_pkey' })
  number!: number;

  @Column('text')
  tenant!: string;

  @Column('uuid')
  token!: string;

  /** `host:pid` */
  @Column('text')
  worker!: string;

  @Column('timestamptz', { name: 'started_at' })
  startedAt!: Date;

  @Column('timestamptz', { name: 'finished_at' })
  finishedAt!: Date;

  @Column('text')
  outcome!: 'completed' | 'failed';

  @Column('json', { nullable: true })
  error!: JobError | null;
}
