import { Param, type PipeTransform } from '@nestjs/common';
import { ValidationFailed } from '../../jobs/job.errors.js';
import { NAME, NAME_RULE } from '../schedule.js';

const asName: PipeTransform<string, string> = {
  transform(name) {
    if (NAME.test(name)) return name;
    throw new ValidationFailed([{ path: 'name', message: NAME_RULE }]);
  },
};

/** The route's `:name`. @throws ValidationFailed naming `name` */
export function ScheduleName(): ParameterDecorator {
  return Param('name', asName);
}
