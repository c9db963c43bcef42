import type { PipeTransform, Type } from '@nestjs/common';
import { ValidationFailed, type Violation } from '../jobs/job.errors.js';
import { readDto } from './dto-reader.js';

/** Checks the envelope of a JSON body against its DTO, and leaves what the envelope carries untouched. */
export class JsonEnvelopePipe<T extends object> implements PipeTransform<unknown, T> {
  /** @param options `optional`: no body is as good as `{}` */
  constructor(
    private readonly dto: Type<T>,
    private readonly options: { optional?: boolean } = {},
  ) {}

  /** @throws ValidationFailed */
  transform(sent: unknown): T {
    const body = sent === undefined && this.options.optional ? {} : sent;
    if (body === undefined)
      throw new ValidationFailed([{ path: '', message: 'the body must be a JSON object' }]);
    const violations: Violation[] = [];
    const read = readDto(this.dto, body, '', violations);

    if (violations.length > 0) throw new ValidationFailed(violations);
    return read;
  }
}
