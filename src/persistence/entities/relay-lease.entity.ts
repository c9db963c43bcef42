import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Which process relays a shard's backlog, and until when, by the database's clock. */
@Entity('relay_leases')
export class RelayLeaseEntity {
  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'relay_leases_pkey' })
  shard!: number;

  @Column('uuid')
  holder!: string;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
