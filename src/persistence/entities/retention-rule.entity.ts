import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import type { TerminalStatus } from '../../jobs/job.js';

/** How long a job type keeps its jobs that ended so, as the latest process that knows it has said. */
@Entity('retention_rules')
@Check('retention_rules_status', `status IN ('completed', 'failed', 'cancelled')`)
export class RetentionRuleEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'retention_rules_pkey' })
  type!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'retention_rules_pkey' })
  status!: TerminalStatus;

  /** A bigint, as text. */
  @Column('bigint', { name: 'age_ms' })
  age!: string;
}
