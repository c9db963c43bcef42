import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  JOB_STATUSES,
  type Job,
  type JobAttempt,
  type JobLogLine,
  type JobStatus,
  type Json,
} from '../job.js';
import { BackoffDto } from './submit-job.dto.js';
import { ANY_JSON } from '../../http/any-json.js';

const TIME = { type: 'string', format: 'date-time', example: '2026-11-24T09:30:00.000Z' } as const;
const INTEGER = { type: 'integer' } as const;

export class JobErrorView {
  @ApiProperty({ example: 'HANDLER_ERROR' })
  code!: string;

  @ApiProperty({ example: 'connect ECONNREFUSED 127.0.0.1:25' })
  message!: string;

  @ApiPropertyOptional()
  stack?: string;
}

export class JobProgressView {
  @ApiProperty({ type: 'number', minimum: 0, maximum: 100 })
  percent!: number;

  @ApiPropertyOptional()
  step?: string;
}

/** How a job is run. */
export class RunOptionsView {
  @ApiProperty({ ...INTEGER, example: 100 })
  priority!: number;

  @ApiProperty({ ...INTEGER, example: 3, description: 'Attempts a run.' })
  attempts!: number;

  @ApiProperty({ type: () => BackoffDto })
  backoff!: BackoffDto;

  @ApiProperty({ ...INTEGER, example: 300_000, description: 'ms.' })
  timeout!: number;
}

export class JobOptionsView extends RunOptionsView {
  @ApiProperty({ ...TIME, nullable: true, description: 'No attempt starts after this.' })
  expiresAt!: string | null;

  @ApiProperty({ type: [String], example: ['customer:42'] })
  tags!: string[];

  @ApiProperty({ type: 'string', nullable: true })
  dedupeKey!: string | null;
}

/** A job as the API shows it. Times are RFC 3339 in UTC. */
export class JobView {
  @ApiProperty({ format: 'uuid', example: '019a5f3e-7c00-7000-8000-000000000001' })
  id!: string;

  @ApiProperty({ example: 'send_email' })
  type!: string;

  @ApiProperty({ example: 'default' })
  queue!: string;

  @ApiProperty({ enum: JOB_STATUSES })
  status!: JobStatus;

  @ApiProperty({
    ...ANY_JSON,
    description: 'What was sent, unchanged.',
    example: { to: 'ada@example.com' },
  })
  data!: Json;

  @ApiProperty({ type: () => JobOptionsView })
  options!: JobOptionsView;

  @ApiProperty({ ...INTEGER, example: 1, description: 'Grows by one with each manual retry.' })
  run!: number;

  @ApiProperty({ ...INTEGER, example: 0, description: 'Attempts that have ended in this run.' })
  attemptsMade!: number;

  @ApiProperty({ type: () => JobProgressView, nullable: true })
  progress!: JobProgressView | null;

  @ApiProperty({ ...ANY_JSON, description: 'What the job type returned.', example: null })
  result!: Json;

  @ApiProperty({ type: () => JobErrorView, nullable: true })
  error!: JobErrorView | null;

  @ApiProperty(TIME)
  createdAt!: string;

  @ApiProperty({ ...TIME, description: 'When it may start, or might have.' })
  runAt!: string;

  @ApiProperty({
    ...TIME,
    nullable: true,
    description: 'When the queue got it; at the latest the start, where it starts within a second of that.',
  })
  enqueuedAt!: string | null;

  @ApiProperty({ ...TIME, nullable: true, description: 'Start of the latest attempt.' })
  startedAt!: string | null;

  @ApiProperty({ ...TIME, nullable: true })
  finishedAt!: string | null;
}

/** One attempt that has ended. */
export class JobAttemptView {
  @ApiProperty({ ...INTEGER, example: 1 })
  run!: number;

  @ApiProperty({ ...INTEGER, example: 1, description: 'Counts within its run.' })
  number!: number;

  @ApiProperty({ description: 'The worker process.' })
  worker!: string;

  @ApiProperty(TIME)
  startedAt!: string;

  @ApiProperty(TIME)
  finishedAt!: string;

  @ApiProperty({ enum: ['completed', 'failed'] })
  outcome!: 'completed' | 'failed';

  @ApiProperty({ type: () => JobErrorView, nullable: true })
  error!: JobErrorView | null;
}

export class JobDetailView extends JobView {
  @ApiProperty({
    type: () => [JobAttemptView],
    description:
      'Those that have ended, oldest first. One that runs is not among them: then `status` is `active`, ' +
      'and `startedAt` tells since when.',
  })
  attempts!: JobAttemptView[];
}

export class JobListView {
  @ApiProperty({ type: () => [JobView], description: 'Newest first.' })
  items!: JobView[];

  @ApiProperty({
    type: 'string',
    nullable: true,
    description:
      'Where the next page starts; null after the last. A page looks at about 20,000 jobs for a filter that no index ' +
      'answers: it may then be short, even empty, and still have a next one.',
  })
  nextCursor!: string | null;
}

export class JobBulkView {
  @ApiProperty({ type: () => [JobView], description: 'In the order of the request.' })
  items!: JobView[];
}

export class JobLogLineView {
  @ApiProperty(INTEGER)
  seq!: number;

  @ApiProperty(INTEGER)
  run!: number;

  @ApiProperty(INTEGER)
  attempt!: number;

  @ApiProperty(TIME)
  at!: string;

  @ApiProperty()
  line!: string;
}

export class JobLogsView {
  @ApiProperty({ type: () => [JobLogLineView], description: 'Oldest first.' })
  items!: JobLogLineView[];

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'Where the next page starts; null after the last.',
  })
  nextCursor!: string | null;
}

/** Everything but what is internal: the tenant and the shard. */
export function jobView(job: Job): JobView {
  const { priority, attempts, backoff, timeout } = job.options;
  return {
    id: job.id,
    type: job.type,
    queue: job.queue,
    status: job.status,
    data: job.data,
    options: {
      ...{ priority, attempts, backoff, timeout },
      expiresAt: job.expiresAt?.toISOString() ?? null,
      tags: job.tags,
      dedupeKey: job.dedupeKey,
    },
    run: job.run,
    attemptsMade: job.attemptsMade,
    progress: job.progress,
    result: job.result,
    error: job.error,
    createdAt: job.createdAt.toISOString(),
    runAt: job.runAt.toISOString(),
    enqueuedAt: job.enqueuedAt?.toISOString() ?? null,
    startedAt: job.startedAt?.toISOString() ?? null,
    finishedAt: job.finishedAt?.toISOString() ?? null,
  };
}

export function attemptView({
  run,
  number,
  worker,
  startedAt,
  finishedAt,
  outcome,
  error,
}: JobAttempt): JobAttemptView {
  return {
    run,
    number,
    worker,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    outcome,
    error,
  };
}

export function logLineView({ seq, run, attempt, at, line }: JobLogLine): JobLogLineView {
  return { seq, run, attempt, at: at.toISOString(), line };
}
