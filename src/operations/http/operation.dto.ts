import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean } from 'class-validator';
import { Parsed, Text, Texts } from '../../http/constraints.js';
import { Nested, Optional } from '../../http/dto-reader.js';
import { parseDateOrTimestamp } from '../../http/timestamp.js';
import { ValidationFailed } from '../../jobs/job.errors.js';
import type { JobFilter } from '../../jobs/job-repository.js';
import { JOB_STATUSES, type JobStatus } from '../../jobs/job.js';
import { MAX_TAGS } from '../../jobs/limits.js';
import { OPERATION_KINDS, type Operation, type OperationKind } from '../operation.js';

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const NOT_A_DATE = 'must be a date (2026-01-31) or an RFC 3339 timestamp';
const TIME = { type: 'string', format: 'date-time', example: '2026-11-24T09:30:00.000Z' } as const;
const INTEGER = { type: 'integer' } as const;

/** As GET /jobs has them: a job must meet all that is named. */
export class OperationFilterDto {
  @ApiPropertyOptional({
    type: [String],
    maxItems: 100,
    example: ['send_email'],
    description: 'One of these.',
  })
  @Optional()
  @Texts(NAME, 100, 'a snake_case name')
  type?: string[];

  @ApiPropertyOptional({
    enum: JOB_STATUSES,
    isArray: true,
    description:
      'One of these. For a cancel `waiting`, `delayed` or `active`, for a retry `failed` or `cancelled`.',
  })
  @Optional()
  @Texts(
    new RegExp(`^(?:${JOB_STATUSES.join('|')})$`),
    JOB_STATUSES.length,
    `one of ${JOB_STATUSES.join(', ')}`,
  )
  status?: JobStatus[];

  @ApiPropertyOptional({ example: 'default' })
  @Optional()
  @Text(NAME, 'must be a snake_case name')
  queue?: string;

  @ApiPropertyOptional({ type: [String], maxItems: MAX_TAGS, description: 'All of these.' })
  @Optional()
  @Texts(/^[^\p{Cc}\p{Cs}]{1,64}$/u, MAX_TAGS, '1 to 64 characters without control characters')
  tag?: string[];

  @ApiPropertyOptional({ description: 'Created at or after this: a date or a timestamp with its offset.' })
  @Optional()
  @Parsed(parseDateOrTimestamp, NOT_A_DATE)
  createdFrom?: string;

  @ApiPropertyOptional({ description: 'Created before this.' })
  @Optional()
  @Parsed(parseDateOrTimestamp, NOT_A_DATE)
  createdTo?: string;
}

export class StartOperationDto {
  @ApiProperty({ type: () => OperationFilterDto, description: 'At least one criterion.' })
  @Nested(OperationFilterDto)
  filter!: OperationFilterDto;

  @ApiPropertyOptional({ default: false, description: 'Only count the jobs that match.' })
  @Optional()
  @IsBoolean({ message: 'must be true or false' })
  dryRun?: boolean;
}

export class MatchedView {
  @ApiProperty({ ...INTEGER, example: 1_204 })
  matched!: number;
}

export class OperationView {
  @ApiProperty({ format: 'uuid' })
  id!: string;

  @ApiProperty({ enum: OPERATION_KINDS })
  kind!: OperationKind;

  @ApiProperty({ type: () => OperationFilterDto })
  filter!: OperationFilterDto;

  @ApiProperty({ enum: ['running', 'completed'] })
  status!: Operation['status'];

  @ApiProperty({ ...INTEGER, example: 1_204, description: 'Jobs that matched when it was started.' })
  matched!: number;

  @ApiProperty({ ...INTEGER, example: 500, description: 'Jobs that it has come to so far.' })
  processed!: number;

  @ApiProperty({
    ...INTEGER,
    example: 498,
    description: 'Those of them that it has moved. The others had changed their state meanwhile.',
  })
  changed!: number;

  @ApiProperty(TIME)
  createdAt!: string;

  @ApiProperty({ ...TIME, nullable: true })
  finishedAt!: string | null;
}

/** @throws ValidationFailed naming `filter` where it is missing */
export function filterOf({ filter }: StartOperationDto): JobFilter {
  if ((filter as OperationFilterDto | undefined) === undefined)
    throw new ValidationFailed([{ path: 'filter', message: 'is required' }]);
  const { type, status, queue, tag, createdFrom, createdTo } = filter;
  return {
    types: type,
    statuses: status,
    queue,
    tags: tag,
    createdFrom: createdFrom === undefined ? undefined : parseDateOrTimestamp(createdFrom),
    createdTo: createdTo === undefined ? undefined : parseDateOrTimestamp(createdTo),
  };
}

export function operationView(operation: Operation): OperationView {
  const { id, kind, filter, status, matched, processed, changed, createdAt, finishedAt } = operation;
  return {
    ...{ id, kind, status, matched, processed, changed },
    filter: {
      type: filter.types,
      status: filter.statuses,
      queue: filter.queue,
      tag: filter.tags,
      createdFrom: filter.createdFrom?.toISOString(),
      createdTo: filter.createdTo?.toISOString(),
    },
    createdAt: createdAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}
