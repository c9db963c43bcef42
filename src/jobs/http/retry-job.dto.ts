import { ApiPropertyOptional } from '@nestjs/swagger';
import { Optional } from '../../http/dto-reader.js';
import { ANY_JSON } from '../../http/any-json.js';

/** `data` belongs to the job's type, whose schema judges it. */
export class RetryJobDto {
  @ApiPropertyOptional({
    ...ANY_JSON,
    description: "In place of what was sent before. Valid against the type's JSON Schema.",
  })
  @Optional()
  data?: unknown;
}
