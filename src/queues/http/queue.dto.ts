import { ApiProperty } from '@nestjs/swagger';
import { LiveCountsView } from '../../stats/http/stats.dto.js';
import type { QueueState, Serving } from '../queue-state.js';

const INTEGER = { type: 'integer' } as const;

export class RatesView {
  @ApiProperty({ example: 12.5, description: 'Jobs accepted, a second.' })
  in!: number;

  @ApiProperty({ example: 11.9, description: 'Jobs completed or failed by workers, a second.' })
  out!: number;

  @ApiProperty({ example: 327.4, description: 'What the rates are measured over, in seconds.' })
  seconds!: number;
}

export class ServingView implements Serving {
  @ApiProperty({ format: 'uuid' })
  id!: string;

  @ApiProperty({ example: 'worker-7f9c' })
  host!: string;

  @ApiProperty({ ...INTEGER, example: 4711 })
  pid!: number;

  @ApiProperty({ ...INTEGER, example: 50, description: 'Jobs of this queue at once.' })
  concurrency!: number;
}

/** A queue. */
export class QueueView extends LiveCountsView {
  @ApiProperty({ example: 'default' })
  name!: string;

  @ApiProperty({ example: false, description: 'No job of it starts.' })
  paused!: boolean;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  pausedSince!: string | null;

  @ApiProperty({ type: () => RatesView })
  rates!: RatesView;

  @ApiProperty({ ...INTEGER, example: 1 })
  shards!: number;

  @ApiProperty({ type: () => [ServingView], description: 'The live worker processes that serve it.' })
  workers!: ServingView[];
}

export class QueueListView {
  @ApiProperty({ type: () => [QueueView] })
  items!: QueueView[];
}

export function queueView({ pausedSince, ...queue }: QueueState): QueueView {
  return { ...queue, paused: pausedSince !== null, pausedSince: pausedSince?.toISOString() ?? null };
}
