import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Finds the rare outcomes, so that `jobs` needs no index on a state. Deleted by a retry. */
@Entity('dead_letters')
@Index('dead_letters_tenant_status', ['tenant', 'status', 'jobId'])
@Index('dead_letters_tenant_status_type', ['tenant', 'status', 'type', 'jobId'])
@Check('dead_letters_status', `status IN ('failed', 'cancelled')`)
export class DeadLetterEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'dead_letters_pkey' })
  jobId!: string;

  @Column('text')
  tenant!: string;

  @Column('text')
  status!: 'failed' | 'cancelled';

  @Column('text')
  type!: string;

  @Column('text')
  queue!: string;
}
