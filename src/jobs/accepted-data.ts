import type { JobTypeDefinition } from '../job-types/job-type-definition.js';
import { ValidationFailed } from './job.errors.js';
import type { Json } from './job.js';
import { MAX_DATA_LENGTH } from './limits.js';

/**
 * A job's data as the record keeps it, once its type has accepted it.
 * @returns the value that was given, and its JSON text
 * @throws ValidationFailed
 */
export function acceptedData(definition: JobTypeDefinition, data: unknown): { data: Json; json: string } {
  const checked = definition.check(data);
  const json = JSON.stringify(checked);
  if (json.length <= MAX_DATA_LENGTH) return { data: checked, json };

  const message = `${json.length} characters of JSON are more than the ${MAX_DATA_LENGTH} allowed`;
  throw new ValidationFailed([{ path: 'data', message }]);
}
