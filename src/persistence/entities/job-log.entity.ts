import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One line that a handler logged. */
@Entity('job_logs')
export class JobLogEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'job_logs_pkey' })
  jobId!: string;

  /** A bigint, as text. */
  @PrimaryColumn('bigint', {
    primaryKeyConstraintName: 'job_logs_pkey',
    default: () => "nextval('job_log_seq')",
  })
  seq!: string;

  @Column('text')
  tenant!: string;

  @Column('smallint')
  run!: number;

  @Column('smallint')
  attempt!: number;

  @Column('timestamptz')
  at!: Date;

  @Column('text')
  line!: string;
}
