import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IntegerIn, OneOf, Parsed, Present, Text, Texts, Valid } from '../../http/constraints.js';
import { Nested, Optional } from '../../http/dto-reader.js';
import type { Duration } from '../../job-types/duration.js';
import { BackoffDto } from '../../jobs/http/submit-job.dto.js';
import { MAX_TAGS } from '../../jobs/limits.js';
import { type Misfire, MISFIRES, type Overlap, OVERLAPS } from '../schedule.js';
import { ANY_JSON } from '../../http/any-json.js';

const ONE_DAY = 86_400_000;
const FIELDS = /^[0-9A-Za-z*,/#-]+(?: [0-9A-Za-z*,/#-]+){4,5}$/;
const DURATION = /^\d{1,11}(?:ms|s|m|h|d)$/;

/** What of a submit's options makes sense for each of many jobs. */
export class ScheduleOptionsDto {
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
    type: [String],
    maxItems: MAX_TAGS,
    example: ['nightly'],
    description: 'Words to find its jobs by.',
  })
  @Optional()
  @Texts(/^[^\p{Cc}\p{Cs}]{1,64}$/u, MAX_TAGS, '1 to 64 characters without control characters')
  tags?: string[];
}

/** `cron` or `every`, and the job to make. What is left out has its default, also where a schedule is changed. */
export class PutScheduleDto {
  @ApiPropertyOptional({
    example: '30 9 * * 1-5',
    maxLength: 100,
    description:
      'Minute, hour, day of the month, month, day of the week; six fields start with the second. Not together with `every`.',
  })
  @Optional()
  @Parsed(
    (text) => (text.length <= 100 && FIELDS.test(text) ? text : undefined),
    'must be the five or six fields of a cron expression, with a space between them',
  )
  cron?: string;

  @ApiPropertyOptional({
    oneOf: [
      { type: 'integer', minimum: 1_000 },
      { type: 'string', pattern: DURATION.source },
    ],
    example: '15m',
    description:
      'ms, or such as `90s`, `15m`, `2h`, `1d`; 1 second to 366 days. Counted from 1970 in UTC: `15m` is at :00, :15, ' +
      ':30 and :45. Not together with `cron`.',
  })
  @Optional()
  @Valid(isDuration, 'must be whole ms, or a duration such as 90s, 15m, 2h or 1d')
  every?: Duration;

  @ApiPropertyOptional({
    example: 'Europe/Berlin',
    default: 'UTC',
    description: 'Of `cron`: a name of the IANA database.',
  })
  @Optional()
  @Text(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/, 'must be the name of a time zone, such as Europe/Berlin')
  timezone?: string;

  @ApiProperty({ example: 'send_email', description: 'A name from GET /job-types.' })
  @Text(/^.{1,100}$/s, 'must be the name of a job type')
  type!: string;

  @ApiProperty({
    ...ANY_JSON,
    description:
      "Valid against the type's JSON Schema, now and each time; at most 65,536 characters of JSON.",
  })
  @Present()
  data!: unknown;

  @ApiPropertyOptional({
    type: () => ScheduleOptionsDto,
    description: "What is left out follows the type's defaults.",
  })
  @Optional()
  @Nested(ScheduleOptionsDto)
  options?: ScheduleOptionsDto;

  @ApiPropertyOptional({
    enum: MISFIRES,
    default: 'one',
    description:
      'What becomes of times that nobody could fire: nothing, a single job for the first of them, or a job for each.',
  })
  @Optional()
  @OneOf(MISFIRES)
  misfire?: Misfire;

  @ApiPropertyOptional({
    enum: OVERLAPS,
    default: 'allow',
    description: '`skip`: a time makes no job while the last one of this schedule is not over.',
  })
  @Optional()
  @OneOf(OVERLAPS)
  overlap?: Overlap;

  @ApiPropertyOptional({
    default: false,
    description: 'It is kept, and does nothing. What it passes over meanwhile is not missed.',
  })
  @Optional()
  @Valid((value) => typeof value === 'boolean', 'must be true or false')
  paused?: boolean;
}

/** Its bounds are the schedule's own. */
function isDuration(value: unknown): boolean {
  return typeof value === 'string' ? DURATION.test(value) : Number.isSafeInteger(value) && Number(value) >= 0;
}
