import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IntegerIn, NumberIn, OneOf, Parsed, Present, Text, Texts } from '../../http/constraints.js';
import { Nested, NestedList, Optional } from '../../http/dto-reader.js';
import { parseTimestamp } from '../../http/timestamp.js';
import { ON_DUPLICATE, type OnDuplicate } from '../job.js';
import { MAX_BULK, MAX_TAGS } from '../limits.js';
import type { Submission } from '../use-cases/submit-job.use-case.js';
import { ANY_JSON } from '../../http/any-json.js';

const TEN_YEARS = 10 * 365 * 86_400_000;
const ONE_DAY = 86_400_000;

export class BackoffDto {
  @ApiProperty({ enum: ['fixed', 'exponential'] })
  @OneOf(['fixed', 'exponential'])
  kind!: 'fixed' | 'exponential';

  @ApiProperty({ type: 'integer', minimum: 0, maximum: ONE_DAY, description: 'ms before the first retry.' })
  @IntegerIn(0, ONE_DAY)
  delay!: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: TEN_YEARS,
    description: 'Longest wait, in ms.',
  })
  @Optional()
  @IntegerIn(0, TEN_YEARS)
  cap?: number;

  @ApiPropertyOptional({
    type: 'number',
    minimum: 0,
    maximum: 1,
    example: 0.2,
    description: 'The share of each pause that chance takes off.',
  })
  @Optional()
  @NumberIn(0, 1)
  jitter?: number;
}

export class SubmitOptionsDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: TEN_YEARS,
    description: 'ms from now before it may start. Not together with `runAt`.',
  })
  @Optional()
  @IntegerIn(0, TEN_YEARS)
  delay?: number;

  @ApiPropertyOptional({
    type: 'string',
    format: 'date-time',
    example: '2027-01-31T09:30:00Z',
    description:
      'When it may start: an RFC 3339 timestamp with its offset, `Z` or such as `+01:00`. A date alone is refused.',
  })
  @Optional()
  @Parsed(parseRunAt, 'must be an RFC 3339 timestamp with an offset, at most ten years ahead')
  runAt?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: 1000,
    description: '0 runs first; 100 is usual.',
  })
  @Optional()
  @IntegerIn(0, 1000)
  priority?: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 100,
    description: 'Attempts before it fails.',
  })
  @Optional()
  @IntegerIn(1, 100)
  attempts?: number;

  @ApiPropertyOptional({ type: () => BackoffDto, description: 'How long to wait before a retry.' })
  @Optional()
  @Nested(BackoffDto)
  backoff?: BackoffDto;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: ONE_DAY,
    description: 'ms an attempt may take.',
  })
  @Optional()
  @IntegerIn(1, ONE_DAY)
  timeout?: number;

  @ApiPropertyOptional({
    type: 'string',
    format: 'date-time',
    example: '2027-02-01T00:00:00Z',
    description: 'No attempt starts after this: the job then fails with code `EXPIRED`. After `runAt`.',
  })
  @Optional()
  @Parsed(parseTimestamp, 'must be an RFC 3339 timestamp with an offset')
  expiresAt?: string;

  @ApiPropertyOptional({
    type: [String],
    maxItems: MAX_TAGS,
    example: ['customer:42', 'nightly'],
    description: 'Words to find it by: up to 64 characters each.',
  })
  @Optional()
  @Texts(/^[^\p{Cc}\p{Cs}]{1,64}$/u, MAX_TAGS, '1 to 64 characters without control characters')
  tags?: string[];

  @ApiPropertyOptional({
    type: 'string',
    maxLength: 200,
    description:
      'Of the jobs that are not over, at most one has it. What another submit with the same key gets is said by ' +
      '`onDuplicate`. Not together with an `Idempotency-Key`.',
  })
  @Optional()
  @Text(/^[^\p{Cc}\p{Cs}]{1,200}$/u, 'must be 1 to 200 characters without control characters')
  dedupeKey?: string;

  @ApiPropertyOptional({
    enum: ON_DUPLICATE,
    description:
      '`reject` (the default): 409. `return`: the job that there is, with status 200. `replace`: that one is cancelled, ' +
      'unless it runs already, which is a 409.',
  })
  @Optional()
  @OneOf(ON_DUPLICATE)
  onDuplicate?: OnDuplicate;
}

/** The envelope of a job. `data` belongs to the type, whose schema judges it. */
export class SubmitJobDto {
  @ApiProperty({ example: 'send_email', description: 'A name from GET /job-types.' })
  @Text(/^.{1,100}$/s, 'must be the name of a job type')
  type!: string;

  @ApiProperty({
    ...ANY_JSON,
    description: "Valid against the type's JSON Schema.",
  })
  @Present()
  data!: unknown;

  @ApiPropertyOptional({
    type: () => SubmitOptionsDto,
    description: "What is left out follows the type's defaults.",
  })
  @Optional()
  @Nested(SubmitOptionsDto)
  options?: SubmitOptionsDto;
}

export class SubmitJobsDto {
  @ApiProperty({ type: () => [SubmitJobDto], minItems: 1, maxItems: MAX_BULK })
  @NestedList(SubmitJobDto, MAX_BULK)
  jobs!: SubmitJobDto[];
}

/** What the use case takes, but for the tenant and the key. */
export function submissionOf({ type, data, options }: SubmitJobDto): Submission {
  if (!options) return { type, data };
  const { runAt, expiresAt, ...others } = options;
  return { type, data, options: { ...others, runAt: timeOf(runAt), expiresAt: timeOf(expiresAt) } };
}

function timeOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : parseTimestamp(text);
}

function parseRunAt(text: string): Date | undefined {
  const runAt = parseTimestamp(text);
  return runAt && runAt.getTime() <= Date.now() + TEN_YEARS ? runAt : undefined;
}
