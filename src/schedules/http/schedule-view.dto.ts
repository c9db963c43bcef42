import { ApiProperty } from '@nestjs/swagger';
import type { Json } from '../../jobs/job.js';
import {
  type Fire,
  type Misfire,
  MISFIRES,
  type Overlap,
  OVERLAPS,
  type Schedule,
  type Skip,
} from '../schedule.js';
import { inWords } from '../timing.js';
import type { ScheduleOutlook } from '../use-cases/get-schedule.use-case.js';
import { ScheduleOptionsDto } from './put-schedule.dto.js';
import { ANY_JSON } from '../../http/any-json.js';

/** A schedule, as it was put. */
export class ScheduleView {
  @ApiProperty({ example: 'daily-report' })
  name!: string;

  @ApiProperty({ type: String, nullable: true, example: '30 9 * * 1-5' })
  cron!: string | null;

  @ApiProperty({ type: 'integer', nullable: true, example: null, description: 'ms' })
  every!: number | null;

  @ApiProperty({ type: String, nullable: true, example: 'Europe/Berlin' })
  timezone!: string | null;

  @ApiProperty({ example: 'At 09:30, Monday through Friday (Europe/Berlin)' })
  words!: string;

  @ApiProperty({ example: 'send_email' })
  type!: string;

  @ApiProperty({
    ...ANY_JSON,
    example: { to: 'ada@example.com', subject: 'Report', body: 'Good morning!' },
  })
  data!: Json;

  @ApiProperty({ type: () => ScheduleOptionsDto })
  options!: ScheduleOptionsDto;

  @ApiProperty({ enum: MISFIRES, example: 'one' })
  misfire!: Misfire;

  @ApiProperty({ enum: OVERLAPS, example: 'skip' })
  overlap!: Overlap;

  @ApiProperty({ example: false })
  paused!: boolean;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2027-03-01T08:30:00.000Z',
    description: 'Null while it is paused.',
  })
  nextFireAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', example: '2027-02-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', example: '2027-02-01T12:00:00.000Z' })
  updatedAt!: string;
}

/** A time that has come. */
export class FireView {
  @ApiProperty({ type: String, format: 'date-time', example: '2027-02-26T08:30:00.000Z' })
  at!: string;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description: 'The job that it made; null where it was skipped.',
  })
  jobId!: string | null;

  @ApiProperty({
    type: String,
    enum: ['overlap', 'invalid', null],
    nullable: true,
    example: null,
    description:
      '`overlap`: the last job was not over. `invalid`: the job type refused the data or the options.',
  })
  skipped!: Skip | null;
}

export class ScheduleDetailView extends ScheduleView {
  @ApiProperty({
    type: [String],
    example: ['2027-03-01T08:30:00.000Z', '2027-03-02T08:30:00.000Z'],
    description: 'The next ten times; of a paused one, those at which it would fire.',
  })
  nextFires!: string[];

  @ApiProperty({
    type: () => [FireView],
    description: 'The ten latest, latest first. They are kept for a week.',
  })
  lastFires!: FireView[];
}

export class ScheduleListView {
  @ApiProperty({ type: () => [ScheduleView] })
  items!: ScheduleView[];

  @ApiProperty({ type: String, nullable: true, description: 'For `cursor`; null on the last page.' })
  nextCursor!: string | null;
}

export function scheduleView({ tenant: _tenant, timing, ...schedule }: Schedule): ScheduleView {
  const { nextFireAt, createdAt, updatedAt } = schedule;
  return {
    ...schedule,
    cron: 'cron' in timing ? timing.cron : null,
    every: 'every' in timing ? timing.every : null,
    timezone: 'cron' in timing ? timing.timezone : null,
    words: inWords(timing),
    nextFireAt: nextFireAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

export function scheduleDetailView({ schedule, nextFires, lastFires }: ScheduleOutlook): ScheduleDetailView {
  return {
    ...scheduleView(schedule),
    nextFires: nextFires.map((at) => at.toISOString()),
    lastFires: lastFires.map(fireView),
  };
}

function fireView({ at, jobId, skipped }: Fire): FireView {
  return { at: at.toISOString(), jobId, skipped };
}
