import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Which process relays a lane's backlog, and until when, by the database's clock. */
@Entity('lane_leases')
export class LaneLeaseEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'lane_leases_pkey' })
  queue!: string;

  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'lane_leases_pkey' })
  shard!: number;

  @Column('uuid')
  holder!: string;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
