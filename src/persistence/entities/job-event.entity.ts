import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Json } from '../../jobs/job.js';

/** A move that is not routine: released, reaped, quarantined, retried. */
@Entity('job_events')
export class JobEventEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'job_events_pkey' })
  jobId!: string;

  /** A bigint, as text. */
  @PrimaryColumn('bigint', {
    primaryKeyConstraintName: 'job_events_pkey',
    default: () => "nextval('job_event_seq')",
  })
  seq!: string;

  @Column('text')
  tenant!: string;

  @Column('timestamptz', { default: () => 'clock_timestamp()' })
  at!: Date;

  @Column('text')
  kind!: string;

  @Column('json', { nullable: true })
  detail!: Json;
}
