import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How often queue and record were found to differ in one way, since the beginning. */
@Entity('drift')
export class DriftEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'drift_pkey' })
  kind!: string;

  @Column('bigint')
  count!: string;
}
