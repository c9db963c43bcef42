import { Param, ParseUUIDPipe } from '@nestjs/common';
import { ValidationFailed } from '../job.errors.js';

export const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const asUuid = new ParseUUIDPipe({
  exceptionFactory: () => new ValidationFailed([{ path: 'id', message: 'must be a UUID' }]),
});

/** The route's `:id`. @throws ValidationFailed naming `id` */
export function JobId(): ParameterDecorator {
  return Param('id', asUuid);
}
