import type { Type } from '@nestjs/common';
import { getMetadataStorage, ValidateIf, validateSync, type ValidatorOptions } from 'class-validator';
import type { Violation } from '../jobs/job.errors.js';
import { isSurelyValid } from './dto-rules.js';

/** Enough to mend a request by; a hostile one cannot make more of them. */
const MOST_VIOLATIONS = 100;
const LONGEST_PATH = 100;

const VALIDATION: ValidatorOptions = {
  forbidUnknownValues: false,
  stopAtFirstError: true,
  validationError: { target: false, value: false },
};

interface Nesting {
  dto: Type<object>;
  list?: { max: number };
}

const nestings = new WeakMap<object, Map<string, Nesting>>();
const fieldNames = new WeakMap<object, ReadonlySet<string>>();

/** The field may be left out; `null` does not count as left out. */
export function Optional(): PropertyDecorator {
  return ValidateIf((_dto, value) => value !== undefined);
}

/** The field is an object with the fields of another DTO. */
export function Nested(dto: Type<object>): PropertyDecorator {
  return nest({ dto });
}

/** The field is a list of 1 to `max` such objects. */
export function NestedList(dto: Type<object>, max: number): PropertyDecorator {
  return nest({ dto, list: { max } });
}

/**
 * Reads a DTO out of a plain object, by its class-validator decorators. Values are neither copied nor converted nor
 * walked, so that a field such as `data` comes out as the very value that went in; and keys that class-transformer
 * drops in silence (`__proto__`, `constructor`) are found like any other unknown one.
 * @param found gathers what is wrong; the DTO is only good where nothing was added
 */
export function readDto<T extends object>(dto: Type<T>, value: unknown, path: string, found: Violation[]): T {
  const known = fieldsOf(dto);
  const given: Record<string, unknown> = {};

  if (!isObject(value)) {
    add(found, path, 'must be an object');
    return new dto();
  }
  for (const key of Object.keys(value)) {
    if (known.has(key)) given[key] = value[key];
    else add(found, join(path, key), 'this field is not known');
  }
  for (const [key, nesting] of nestings.get(dto) ?? []) {
    if (given[key] !== undefined || nesting.list)
      given[key] = readNested(nesting, given[key], join(path, key), found);
  }
  const read = Object.assign(new dto(), given);
  if (isSurelyValid(dto, read)) return read;
  for (const { property, constraints } of validateSync(read, VALIDATION)) {
    for (const message of Object.values(constraints ?? {})) add(found, join(path, property), message);
  }
  return read;
}

function readNested({ dto, list }: Nesting, value: unknown, path: string, found: Violation[]): unknown {
  if (!list) return readDto(dto, value, path, found);

  if (!Array.isArray(value) || value.length === 0 || value.length > list.max) {
    add(found, path, `must be a list of 1 to ${list.max} items`);
    return [];
  }
  return value.map((item, index) => readDto(dto, item, join(path, index), found));
}

/** The names that a DTO class declares, from its decorators. */
export function fieldsOf(dto: Type<object>): ReadonlySet<string> {
  let names = fieldNames.get(dto);
  if (!names) {
    const validated = getMetadataStorage().getTargetValidationMetadatas(dto, '', true, false);
    names = new Set([
      ...validated.map(({ propertyName }) => propertyName),
      ...(nestings.get(dto)?.keys() ?? []),
    ]);
    fieldNames.set(dto, names);
  }
  return names;
}

export function add(found: Violation[], path: string, message: string): void {
  if (found.length >= MOST_VIOLATIONS) return;
  found.push({ path: path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH - 3)}...` : path, message });
}

function nest(nesting: Nesting): PropertyDecorator {
  return (prototype, name) => {
    const dto = prototype.constructor;
    nestings.set(dto, new Map([...(nestings.get(dto) ?? []), [String(name), nesting]]));
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(path: string, key: string | number): string {
  return path ? `${path}.${key}` : String(key);
}
