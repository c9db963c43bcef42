import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Skip } from '../../schedules/schedule.js';

/** A time of a schedule that was dealt with: committed with its job, it makes no second one. */
@Entity('schedule_fires')
@Index('schedule_fires_fire_at', ['fireAt'])
export class ScheduleFireEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'schedule_fires_pkey' })
  tenant!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'schedule_fires_pkey' })
  schedule!: string;

  @PrimaryColumn('timestamptz', { name: 'fire_at', primaryKeyConstraintName: 'schedule_fires_pkey' })
  fireAt!: Date;

  /** Null where it was skipped. */
  @Column('uuid', { name: 'job_id', nullable: true })
  jobId!: string | null;

  @Column('text', { nullable: true })
  skipped!: Skip | null;
}
