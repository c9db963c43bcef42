import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A queue with a row here is paused. */
@Entity('queue_pauses')
export class QueuePauseEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'queue_pauses_pkey' })
  queue!: string;

  @Column('timestamptz', { name: 'paused_at', default: () => 'now()' })
  pausedAt!: Date;
}
