import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Json } from '../../jobs/job.js';

/** A move that is not routine: released, reaped, quarantined, retried. The table has no key of its own. */
@Entity('job_events')
@Index('job_events_job', ['jobId', 'at'])
export class JobEventEntity {
  @PrimaryColumn('uuid', { name: 'job_id' })
  jobId!: string;

  @Column('text')
  tenant!: string;

  @Column('timestamptz', { default: () => 'clock_timestamp()' })
  at!: Date;

  @Column('text')
  kind!: string;

  @Column('json', { nullable: true })
  detail!: Json;
}
