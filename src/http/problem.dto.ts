import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

export class ViolationDto {
  @ApiProperty({ example: 'data.to', description: 'Where it is, from the root of the request.' })
  path!: string;

  @ApiProperty({ example: 'Invalid email address' })
  message!: string;
}

/** An RFC 9457 problem document, as every error is answered. */
export class ProblemDto {
  @ApiProperty({ example: 'about:blank' })
  type!: string;

  @ApiProperty({ example: 'Bad Request' })
  title!: string;

  @ApiProperty({ type: 'integer', example: 400 })
  status!: number;

  @ApiProperty({ example: 'data.to: Invalid email address' })
  detail!: string;

  @ApiProperty({ example: 'VALIDATION_FAILED', description: 'What programs should look at.' })
  code!: string;

  @ApiProperty({ example: '/jobs', description: 'The path that was asked for.' })
  instance!: string;

  @ApiPropertyOptional({
    type: [ViolationDto],
    description: 'For VALIDATION_FAILED: every field that is wrong.',
  })
  errors?: ViolationDto[];

  @ApiPropertyOptional({ example: 'default', description: 'For QUEUE_FULL: which one.' })
  queue?: string;

  @ApiPropertyOptional({ type: 'integer', example: 10_250, description: 'For QUEUE_FULL: jobs that wait.' })
  depth?: number;

  @ApiPropertyOptional({
    example: 85_000.4,
    description: 'For QUEUE_FULL: for how long the oldest of them has been due, in ms.',
  })
  oldestWaiting?: number;

  @ApiPropertyOptional({
    type: 'integer',
    example: 10_000,
    description: 'For QUEUE_FULL: how many may wait; 0: any number.',
  })
  maxDepth?: number;

  @ApiPropertyOptional({
    type: 'integer',
    example: 0,
    description: 'For QUEUE_FULL: for how long they may, in ms; 0: for ever.',
  })
  maxAge?: number;
}
