import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { OperationKind } from '../../operations/operation.js';

/** One decision on all jobs that a filter matches, and how far it has come. */
@Entity('operations')
@Index('operations_running', ['steppedAt'], { where: `status = 'running'` })
@Check('operations_status', `status IN ('running', 'completed')`)
export class OperationEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'operations_pkey' })
  id!: string;

  @Column('text')
  tenant!: string;

  @Column('text')
  kind!: OperationKind;

  @Column('json')
  filter!: object;

  @Column('text', { default: 'running' })
  status!: 'running' | 'completed';

  @Column('integer')
  matched!: number;

  @Column('integer', { default: 0 })
  processed!: number;

  @Column('integer', { default: 0 })
  changed!: number;

  /** It goes on with the jobs before this one. */
  @Column('uuid')
  before!: string;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'stepped_at', default: () => 'now()' })
  steppedAt!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
