import { ApiProperty } from '@nestjs/swagger';
import type { DriftCounts } from '../../jobs/delivery/drift.js';
import type { LiveCounts } from '../../jobs/job-repository.js';
import type { Stats } from '../get-stats.use-case.js';

/** Live jobs of one queue. */
export class QueueCountsView implements LiveCounts {
  @ApiProperty({ example: 'default' })
  queue!: string;

  @ApiProperty({ example: 12, description: 'Due, and not yet taken by a worker.' })
  waiting!: number;

  @ApiProperty({ example: 3, description: 'Not due yet: delayed, or between two attempts.' })
  delayed!: number;

  @ApiProperty({ example: 20, description: 'In the hands of a worker.' })
  active!: number;

  @ApiProperty({ example: 0, description: 'Due, and not yet pushed to the queue by the relay.' })
  unpushed!: number;

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 85.4,
    description: 'For how long the oldest waiting job has been due, in ms; null where none waits.',
  })
  oldestWaiting!: number | null;
}

/** What was found and mended since the beginning, in the whole installation. */
export class DriftView implements DriftCounts {
  @ApiProperty({ example: 0, description: 'Deliveries that the queue should have held and did not.' })
  lost!: number;

  @ApiProperty({ example: 0, description: 'Deliveries that were pushed again, or replaced.' })
  repaired!: number;

  @ApiProperty({
    example: 0,
    description: 'How often a lane was found wiped, restored, or on another server.',
  })
  rebuilt!: number;

  @ApiProperty({
    example: 0,
    description: 'Deliveries that the queue handed to a worker though the record had done with them.',
  })
  phantom!: number;

  @ApiProperty({ example: 0, description: 'Jobs taken back from a worker that died.' })
  reaped!: number;

  @ApiProperty({ example: 0, description: 'Jobs that failed because they killed their worker.' })
  quarantined!: number;
}

export class StatsView {
  @ApiProperty({ type: String, format: 'date-time', description: 'When this was counted; at most 1 s ago.' })
  at!: string;

  @ApiProperty({
    type: () => [QueueCountsView],
    description: 'Queues with live jobs, in alphabetical order.',
  })
  queues!: QueueCountsView[];

  @ApiProperty({ type: () => DriftView })
  drift!: DriftView;
}

export function statsView({ at, queues, drift }: Stats): StatsView {
  return { at: at.toISOString(), queues, drift };
}
