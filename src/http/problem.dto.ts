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
}
