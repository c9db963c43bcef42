import type { PipeTransform, Type } from '@nestjs/common';
import { ValidationFailed, type Violation } from '../jobs/job.errors.js';
import { add, fieldsOf, readDto } from './dto-reader.js';

/** Checks query parameters against their DTO: unknown ones are refused by name, and so are single ones given twice. */
export class QueryPipe<T extends object> implements PipeTransform<Record<string, string | string[]>, T> {
  /** @param repeatable parameters that may be given more than once: they always come out as lists */
  constructor(
    private readonly dto: Type<T>,
    private readonly repeatable: readonly (keyof T & string)[] = [],
  ) {}

  /** @throws ValidationFailed */
  transform(query: Record<string, string | string[]>): T {
    const violations: Violation[] = [];
    const read = readDto(this.dto, this.arranged(query, violations), '', violations);

    if (violations.length > 0) throw new ValidationFailed(violations);
    return read;
  }

  private arranged(query: Record<string, string | string[]>, found: Violation[]): Record<string, unknown> {
    const known = fieldsOf(this.dto);
    const repeatable = new Set<string>(this.repeatable);
    const arranged: Record<string, unknown> = {};

    for (const [name, value] of Object.entries(query)) {
      if (!known.has(name)) add(found, name, 'this query parameter is not known');
      else if (repeatable.has(name)) arranged[name] = [value].flat();
      else if (Array.isArray(value)) add(found, name, 'may be given only once');
      else arranged[name] = value;
    }
    return arranged;
  }
}
