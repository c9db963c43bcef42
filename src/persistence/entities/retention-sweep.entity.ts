import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How far one day of `jobs` has been swept, and until when a process has it in hand. */
@Entity('retention_sweeps')
export class RetentionSweepEntity {
  /** The partition of `jobs`. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'retention_sweeps_pkey' })
  day!: string;

  @Column('timestamptz', { name: 'held_until', nullable: true })
  heldUntil!: Date | null;

  /** By which rules. */
  @Column('text', { nullable: true })
  rules!: string | null;

  /** The greatest age of a rule that had come by then, in ms: a bigint, as text. */
  @Column('bigint', { name: 'age_ms', nullable: true })
  age!: string | null;

  /** Jobs were left that go one day. */
  @Column('boolean', { default: false })
  again!: boolean;

  @Column('timestamptz', { name: 'swept_at', nullable: true })
  sweptAt!: Date | null;
}
