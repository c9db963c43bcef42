import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Histogram } from '../../jobs/statistics/histogram.js';

/** A new one each time: TypeORM writes into it. */
const key = () => ({ primaryKeyConstraintName: 'job_statistics_pkey' });

/** What became of one type's jobs in one minute, by the database's clock. Added to, and deleted after a day. */
@Entity('job_statistics')
@Index('job_statistics_queue', ['queue', 'minute'])
@Index('job_statistics_minute', ['minute'])
export class JobStatisticsEntity {
  @PrimaryColumn('text', key())
  tenant!: string;

  @PrimaryColumn('timestamptz', key())
  minute!: Date;

  @PrimaryColumn('text', key())
  queue!: string;

  @PrimaryColumn('text', key())
  type!: string;

  @Column('bigint')
  submitted!: string;

  @Column('bigint')
  completed!: string;

  @Column('bigint')
  failed!: string;

  @Column('bigint')
  retried!: string;

  @Column('bigint')
  deliveries!: string;

  @Column('double precision', { name: 'slot_ms' })
  slotMs!: number;

  @Column('bigint', { array: true })
  wait!: Histogram;

  @Column('bigint', { array: true })
  run!: Histogram;
}
