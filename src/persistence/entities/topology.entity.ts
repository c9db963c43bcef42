import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

/** What all processes of an installation must agree on. One row. */
@Entity('topology')
@Check('topology_is_one_row', 'singleton')
export class TopologyEntity {
  @PrimaryColumn('boolean', { primaryKeyConstraintName: 'topology_pkey', default: true })
  singleton!: boolean;

  @Column('text')
  backend!: 'redis' | 'postgres';

  @Column('text')
  prefix!: string;

  @Column('smallint')
  shards!: number;
}
