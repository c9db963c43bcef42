import { ApiProperty } from '@nestjs/swagger';
import { MOST_JOBS, MOST_WORKERS } from '../list-workers.use-case.js';
import type { WorkerState } from '../worker-repository.js';

const TIME = { type: 'string', format: 'date-time', example: '2026-11-24T09:30:00.000Z' } as const;
const INTEGER = { type: 'integer' } as const;

export class ServedQueueView {
  @ApiProperty({ example: 'default' })
  name!: string;

  @ApiProperty({ ...INTEGER, example: 50, description: 'Jobs at once, over all its shards.' })
  concurrency!: number;
}

export class JobInHandView {
  @ApiProperty({ format: 'uuid', example: '019a2f3e-5c77-7c3e-9d11-3f0a52c1b8de' })
  id!: string;

  @ApiProperty({ example: 'send_email' })
  type!: string;

  @ApiProperty(TIME)
  since!: string;
}

/** A worker process. */
export class WorkerView {
  @ApiProperty({ format: 'uuid', description: 'Another one after each start.' })
  id!: string;

  @ApiProperty({ example: 'worker-7f9c' })
  host!: string;

  @ApiProperty({ ...INTEGER, example: 4711 })
  pid!: number;

  @ApiProperty({ type: () => [ServedQueueView] })
  queues!: ServedQueueView[];

  @ApiProperty({ ...INTEGER, example: 50, description: 'Jobs at once, over all its queues.' })
  concurrency!: number;

  @ApiProperty({
    type: [String],
    nullable: true,
    example: ['demo', 'send_email'],
    description: 'The job types that it runs; null for a worker of an older version.',
  })
  types!: string[] | null;

  @ApiProperty(TIME)
  startedAt!: string;

  @ApiProperty({ ...TIME, description: 'Every two seconds, by the clock of the database.' })
  heartbeatAt!: string;

  @ApiProperty({ ...INTEGER, example: 3, description: 'How late its main loop was at the last beat, in ms.' })
  lag!: number;

  @ApiProperty({
    description: 'Its heartbeat is over ten seconds old: it counts as dead, and its jobs will be taken back.',
  })
  stale!: boolean;

  @ApiProperty({ ...INTEGER, example: 1, description: 'How many jobs it has in hand.' })
  active!: number;

  @ApiProperty({
    type: () => [JobInHandView],
    maxItems: MOST_JOBS,
    description: `Those it has had longest, at most ${MOST_JOBS}.`,
  })
  jobs!: JobInHandView[];
}

export class WorkerListView {
  @ApiProperty({ type: () => [WorkerView], maxItems: MOST_WORKERS })
  items!: WorkerView[];
}

export function workerView({ jobs, startedAt, heartbeatAt, ...worker }: WorkerState): WorkerView {
  return {
    ...worker,
    startedAt: startedAt.toISOString(),
    heartbeatAt: heartbeatAt.toISOString(),
    jobs: jobs.map(({ since, ...job }) => ({ ...job, since: since.toISOString() })),
  };
}
