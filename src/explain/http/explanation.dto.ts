import { ApiProperty } from '@nestjs/swagger';
import { JOB_STATUSES, type JobStatus } from '../../jobs/job.js';
import { GATES, type Explanation, type Gate, type GateKind } from '../explanation.js';

const TIME = { type: 'string', format: 'date-time', example: '2026-11-24T09:30:00.000Z' } as const;

export class GateView implements Gate {
  @ApiProperty({
    enum: GATES,
    example: 'paused',
    description:
      '`delayed`: not due yet. `paused`: its queue is. `no_worker`: none lives that serves its queue and knows its ' +
      'type. `not_relayed`: the queue does not have it yet. `behind`: others go before it. `alone`: it has crashed its ' +
      'process before, and starts only where nothing else runs.',
  })
  gate!: GateKind;

  @ApiProperty({ example: 'The queue default is paused since 2026-11-24T09:30:00.000Z.' })
  reason!: string;

  @ApiProperty({ example: 'POST /queues/default/resume.', description: 'What would open it.' })
  opens!: string;
}

export class PositionView {
  @ApiProperty({
    type: 'integer',
    example: 42,
    description: 'Jobs of its queue and shard that go before it.',
  })
  ahead!: number;

  @ApiProperty({ example: false, description: 'There may be more: it was not counted further.' })
  atLeast!: boolean;
}

export class StartEstimateView {
  @ApiProperty({ ...TIME, description: 'As likely before as after.' })
  p50!: string;

  @ApiProperty({ ...TIME, description: 'Nine times in ten before.' })
  p90!: string;
}

/** Why a job is not running, or what became of it. */
export class ExplanationView {
  @ApiProperty({ format: 'uuid', example: '019a2f3e-5c77-7c3e-9d11-3f0a52c1b8de' })
  id!: string;

  @ApiProperty({ enum: JOB_STATUSES, example: 'waiting' })
  status!: JobStatus;

  @ApiProperty({ example: 'The queue default is paused since 2026-11-24T09:30:00.000Z.' })
  summary!: string;

  @ApiProperty({ type: () => [GateView], description: 'Empty for a job that runs or is over.' })
  gates!: GateView[];

  @ApiProperty({
    type: () => PositionView,
    nullable: true,
    description: 'Null unless it waits for its start.',
  })
  position!: PositionView | null;

  @ApiProperty({
    type: () => StartEstimateView,
    nullable: true,
    description: 'From how fast its queue has moved lately. Null where nobody can tell.',
  })
  startsAt!: StartEstimateView | null;
}

export function explanationView({ startsAt, ...explanation }: Explanation): ExplanationView {
  return {
    ...explanation,
    startsAt: startsAt && { p50: startsAt.p50.toISOString(), p90: startsAt.p90.toISOString() },
  };
}
