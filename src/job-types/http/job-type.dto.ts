import { ApiProperty } from '@nestjs/swagger';
import { RunOptionsView } from '../../jobs/http/job-view.dto.js';
import type { Json } from '../../jobs/job.js';
import type { JobTypeDefinition, JsonSchema } from '../job-type-definition.js';
import { ANY_JSON } from '../../http/any-json.js';

export class JobTypeLimitsView {
  @ApiProperty({ type: 'integer', example: 100 })
  attempts!: number;

  @ApiProperty({ type: 'integer', example: 86_400_000, description: 'ms.' })
  timeout!: number;

  @ApiProperty({ type: 'integer', example: 0, description: 'The most urgent one.' })
  priority!: number;
}

/** A job type, as the catalogue shows it. */
export class JobTypeView {
  @ApiProperty({ example: 'send_email' })
  name!: string;

  @ApiProperty({ example: 'Sends one message.' })
  description!: string;

  @ApiProperty({ example: 'default' })
  queue!: string;

  @ApiProperty({ type: () => RunOptionsView, description: 'What holds where a submit says nothing.' })
  defaults!: RunOptionsView;

  @ApiProperty({ type: () => JobTypeLimitsView, description: 'What a submit may ask for at most.' })
  limits!: JobTypeLimitsView;

  @ApiProperty({ example: false, description: 'Runs in a thread of its own.' })
  sandboxed!: boolean;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'JSON Schema of `data`, in the dialect of OpenAPI 3.0.',
  })
  jsonSchema!: JsonSchema;

  @ApiProperty({ ...ANY_JSON, description: 'Valid `data`.', example: { to: 'ada@example.com' } })
  example!: Json;
}

export class JobTypeListView {
  @ApiProperty({ type: () => [JobTypeView], description: 'In alphabetical order.' })
  items!: JobTypeView[];
}

export function jobTypeView(definition: JobTypeDefinition): JobTypeView {
  const { name, description, queue, defaults, limits, sandboxed, jsonSchema, example } = definition;
  return { name, description, queue, defaults, limits, sandboxed, jsonSchema, example };
}
