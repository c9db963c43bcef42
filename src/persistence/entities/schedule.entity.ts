import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Misfire, Overlap, ScheduleOptions } from '../../schedules/schedule.js';

/** What makes jobs at set times. */
@Entity('schedules')
@Index('schedules_due', ['nextFireAt'], { where: 'next_fire_at IS NOT NULL' })
@Check('schedules_timing', '(cron IS NULL) = (timezone IS NULL) AND (cron IS NULL) <> (every_ms IS NULL)')
export class ScheduleEntity {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'schedules_pkey' })
  tenant!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'schedules_pkey' })
  name!: string;

  @Column('text', { nullable: true })
  cron!: string | null;

  @Column('text', { nullable: true })
  timezone!: string | null;

  /** A bigint, which the driver gives as text. */
  @Column('bigint', { name: 'every_ms', nullable: true })
  everyMs!: string | null;

  @Column('text')
  type!: string;

  @Column('json')
  data!: unknown;

  @Column('json')
  options!: ScheduleOptions;

  @Column('text')
  misfire!: Misfire;

  @Column('text')
  overlap!: Overlap;

  @Column('boolean')
  paused!: boolean;

  /** Null while it is paused. */
  @Column('timestamptz', { name: 'next_fire_at', nullable: true })
  nextFireAt!: Date | null;

  @Column('uuid', { name: 'last_job_id', nullable: true })
  lastJobId!: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at' })
  updatedAt!: Date;
}
