import { ApiPropertyOptional } from '@nestjs/swagger';
import { DigitsIn, OneOf, Parsed, Text, Texts } from '../../http/constraints.js';
import { decodeCursor, encodeCursor } from '../../http/cursor.js';
import { Optional } from '../../http/dto-reader.js';
import { parseDateOrTimestamp } from '../../http/timestamp.js';
import type { JobFilter, PageRequest } from '../job-repository.js';
import { MAX_TAGS } from '../limits.js';
import { JOB_STATUSES, type JobStatus } from '../job.js';
import { UUID } from './job-id.js';

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const NOT_A_NAME = 'must be a snake_case name';
const NOT_A_DATE = 'must be a date (2026-01-31) or an RFC 3339 timestamp, where + is written %2B';
const A_DATE =
  'a date (`2026-01-31`, its midnight in UTC), or an RFC 3339 timestamp with its offset, whose + is written %2B.';

export class ListJobsDto {
  @ApiPropertyOptional({ type: [String], description: 'May repeat.' })
  @Optional()
  @Text(NAME, NOT_A_NAME, { each: true })
  type?: string[];

  @ApiPropertyOptional({ enum: JOB_STATUSES, isArray: true, description: 'May repeat.' })
  @Optional()
  @OneOf(JOB_STATUSES, { each: true })
  status?: JobStatus[];

  @ApiPropertyOptional()
  @Optional()
  @Text(NAME, NOT_A_NAME)
  queue?: string;

  @ApiPropertyOptional({ type: [String], description: 'May repeat: then a job has all of them.' })
  @Optional()
  @Texts(/^[^\p{Cc}\p{Cs}]{1,64}$/u, MAX_TAGS, '1 to 64 characters without control characters')
  tag?: string[];

  @ApiPropertyOptional({ description: `Created at or after this: ${A_DATE}` })
  @Optional()
  @Parsed(parseDateOrTimestamp, NOT_A_DATE)
  createdFrom?: string;

  @ApiPropertyOptional({ description: `Created before this: ${A_DATE}` })
  @Optional()
  @Parsed(parseDateOrTimestamp, NOT_A_DATE)
  createdTo?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 200, default: 50 })
  @Optional()
  @DigitsIn(1, 200)
  limit?: string;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before.' })
  @Optional()
  @Parsed(jobIdIn, 'is not a cursor of this list')
  cursor?: string;
}

export function filterOf({ type, status, queue, tag, createdFrom, createdTo }: ListJobsDto): JobFilter {
  return {
    types: type,
    statuses: status,
    queue,
    tags: tag,
    createdFrom: createdFrom === undefined ? undefined : parseDateOrTimestamp(createdFrom),
    createdTo: createdTo === undefined ? undefined : parseDateOrTimestamp(createdTo),
  };
}

export function pageOf({ limit = '50', cursor }: ListJobsDto): PageRequest {
  return { limit: Number(limit), before: cursor === undefined ? undefined : jobIdIn(cursor) };
}

export function cursorAfter(jobId: string): string {
  return encodeCursor('jobs', jobId);
}

function jobIdIn(cursor: string): string | undefined {
  const id = decodeCursor('jobs', cursor);
  return id !== undefined && UUID.test(id) ? id : undefined;
}
