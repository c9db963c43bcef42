import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { FirstAnswer } from '../keyed-inserts.js';

/** What a submit may be repeated by. Inserted with its jobs; one that has expired counts as absent. */
@Entity('idempotency_keys')
@Index('idempotency_keys_expires_at', ['expiresAt'])
export class IdempotencyKeyEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_keys_pkey' })
  tenant!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'idempotency_keys_pkey' })
  key!: string;

  @Column('text')
  fingerprint!: string;

  /** What of the first answer the request itself does not say, a job each, in the request's order. */
  @Column('json')
  jobs!: FirstAnswer[];

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
