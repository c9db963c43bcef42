import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A worker process that lives, by the database's clock. */
@Entity('workers')
export class WorkerEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'workers_pkey' })
  id!: string;

  @Column('text')
  host!: string;

  @Column('integer')
  pid!: number;

  @Column('jsonb')
  queues!: { name: string; concurrency: number }[];

  /** The job types that it runs; null where it does not say. */
  @Column('jsonb', { nullable: true })
  types!: string[] | null;

  @Column('integer')
  concurrency!: number;

  @Column('timestamptz', { name: 'started_at', default: () => 'now()' })
  startedAt!: Date;

  @Column('timestamptz', { name: 'heartbeat_at', default: () => 'now()' })
  heartbeatAt!: Date;

  /** How late the process's main loop was at the last beat, in ms. */
  @Column('integer', { name: 'loop_lag_ms', default: 0 })
  loopLag!: number;
}
