import { ApiPropertyOptional } from '@nestjs/swagger';
import { Optional } from '../../http/dto-reader.js';

/** `data` belongs to the job's type, whose schema judges it. */
export class RetryJobDto {
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: "In place of what was sent before. Valid against the type's JSON Schema.",
  })
  @Optional()
  data?: unknown;
}
