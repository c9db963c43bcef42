import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { DriftCounts } from '../../jobs/delivery/drift.js';
import type { LiveCounts } from '../../jobs/job-repository.js';
import { quantile, type Histogram } from '../../jobs/statistics/histogram.js';
import { KEPT_MINUTES } from '../../jobs/statistics/job-activity.js';
import type { TypeStatistics } from '../../jobs/statistics/statistics-repository.js';
import { DigitsIn } from '../../http/constraints.js';
import { Optional } from '../../http/dto-reader.js';
import type { Stats } from '../get-stats.use-case.js';
import type { Load } from '../process-load.js';

const INTEGER = { type: 'integer' } as const;

export class GetStatsDto {
  @ApiPropertyOptional({
    ...INTEGER,
    minimum: 1,
    maximum: KEPT_MINUTES,
    default: 60,
    description:
      'What the statistics of types cover: so many minutes, and what has passed of the current one.',
  })
  @Optional()
  @DigitsIn(1, KEPT_MINUTES)
  minutes?: string;
}

export function minutesOf({ minutes = '60' }: GetStatsDto): number {
  return Number(minutes);
}

/** Live jobs of one queue. */
export class LiveCountsView implements Omit<LiveCounts, 'queue'> {
  @ApiProperty({ example: 12, description: 'Due, and not yet taken by a worker.' })
  waiting!: number;

  @ApiProperty({ example: 3, description: 'Not due yet: delayed, or between two attempts.' })
  delayed!: number;

  @ApiProperty({ example: 20, description: 'In the hands of a worker.' })
  active!: number;

  @ApiProperty({
    example: 0,
    description: 'Due, and not yet on record as pushed to the queue, which is said up to a second later.',
  })
  unpushed!: number;

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 85.4,
    description: 'For how long the oldest waiting job has been due, in ms; null where none waits.',
  })
  oldestWaiting!: number | null;
}

export class QueueCountsView extends LiveCountsView implements LiveCounts {
  @ApiProperty({ example: 'default' })
  queue!: string;
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

/** Submits that a process has refused since it started. */
export class RefusedView {
  @ApiProperty({ ...INTEGER, example: 0, description: 'With 429 `QUEUE_FULL`.' })
  queueFull!: number;

  @ApiProperty({ ...INTEGER, example: 0, description: 'With 503: too many jobs waited for their commit.' })
  pending!: number;

  @ApiProperty({ ...INTEGER, example: 0, description: 'With 503: too many request bodies were under way.' })
  bodies!: number;

  @ApiProperty({ ...INTEGER, example: 0, description: 'With 503: the event loop was late.' })
  loopLag!: number;
}

export class LoadView implements Load {
  @ApiProperty({ example: 1.2, description: 'How late the event loop was a moment ago, in ms.' })
  loopLag!: number;

  @ApiProperty({ ...INTEGER, example: 12, description: 'Jobs that wait for their commit.' })
  pendingRows!: number;

  @ApiProperty({ ...INTEGER, example: 32_768, description: 'Bytes of request bodies under way.' })
  bodyBytes!: number;

  @ApiProperty({ type: () => RefusedView })
  refused!: RefusedView;
}

export class PercentilesView {
  @ApiProperty({ example: 12.1 })
  p50!: number;

  @ApiProperty({ example: 85.4 })
  p90!: number;

  @ApiProperty({ example: 310 })
  p99!: number;
}

/** What became of the jobs of one type. */
export class TypeStatsView {
  @ApiProperty({ example: 'send_email' })
  type!: string;

  @ApiProperty({ example: 'default' })
  queue!: string;

  @ApiProperty({ ...INTEGER, example: 1200, description: 'Jobs accepted.' })
  submitted!: number;

  @ApiProperty({ ...INTEGER, example: 1180 })
  completed!: number;

  @ApiProperty({ ...INTEGER, example: 4, description: 'Jobs that failed for good in the hands of a worker.' })
  failed!: number;

  @ApiProperty({ ...INTEGER, example: 31, description: 'Attempts that failed with another to follow.' })
  retried!: number;

  @ApiProperty({ example: 0.33, description: 'Jobs completed or failed, a second.' })
  throughput!: number;

  @ApiProperty({
    type: () => PercentilesView,
    nullable: true,
    description:
      'From the moment an attempt was due to its start, in ms; within a tenth. Null where none started.',
  })
  wait!: PercentilesView | null;

  @ApiProperty({
    type: () => PercentilesView,
    nullable: true,
    description: 'How long an attempt ran, in ms; within a tenth. Null where none ended.',
  })
  run!: PercentilesView | null;
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

  @ApiProperty({ type: () => LoadView, description: 'Of the API process that answers.' })
  process!: LoadView;

  @ApiProperty({ example: 3627.4, description: 'What the statistics of types cover, in seconds.' })
  seconds!: number;

  @ApiProperty({
    type: () => [TypeStatsView],
    description: 'Types of which jobs came or ended in that time, by queue and type.',
  })
  types!: TypeStatsView[];
}

export function statsView({ at, queues, drift, seconds, types }: Stats, load: Load): StatsView {
  return {
    at: at.toISOString(),
    queues,
    drift,
    process: load,
    seconds,
    types: types.map((type) => typeStatsView(type, seconds)),
  };
}

function typeStatsView(statistics: TypeStatistics, seconds: number): TypeStatsView {
  const { type, queue, submitted, completed, failed, retried, wait, run } = statistics;
  return {
    ...{ type, queue, submitted, completed, failed, retried },
    throughput: Number(((completed + failed) / seconds).toPrecision(3)),
    ...{ wait: percentiles(wait), run: percentiles(run) },
  };
}

function percentiles(counts: Histogram): PercentilesView | null {
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((q) => quantile(counts, q) ?? undefined);
  return p50 === undefined || p90 === undefined || p99 === undefined ? null : { p50, p90, p99 };
}
