import { ValidateBy, type ValidationArguments, type ValidationOptions } from 'class-validator';

/** Any JSON value, `null` among them, so long as the field is there. */
export function Present(): PropertyDecorator {
  return satisfies('present', (value) => value !== undefined, 'is required');
}

export function IntegerIn(min: number, max: number): PropertyDecorator {
  const message = `must be a whole number from ${min} to ${max}`;
  return satisfies(
    'integerIn',
    (value) => Number.isInteger(value) && isWithin(Number(value), min, max),
    message,
  );
}

/** The same, written in digits, as a query parameter is. */
export function DigitsIn(min: number, max: number): PropertyDecorator {
  const message = `must be a whole number from ${min} to ${max}`;
  return satisfies(
    'digitsIn',
    (value) => typeof value === 'string' && /^\d{1,15}$/.test(value) && isWithin(Number(value), min, max),
    message,
  );
}

export function OneOf(values: readonly string[], options?: ValidationOptions): PropertyDecorator {
  const message = `must be one of ${values.join(', ')}`;
  return satisfies('oneOf', (value) => typeof value === 'string' && values.includes(value), message, options);
}

export function Text(pattern: RegExp, message: string, options?: ValidationOptions): PropertyDecorator {
  return satisfies('text', (value) => typeof value === 'string' && pattern.test(value), message, options);
}

/** A text that a parser takes: it answers undefined for what it does not. */
export function Parsed(parse: (text: string) => unknown, message: string): PropertyDecorator {
  return satisfies('parsed', (value) => typeof value === 'string' && parse(value) !== undefined, message);
}

/** What the check takes, of whatever type. */
export function Valid(check: (value: unknown) => boolean, message: string): PropertyDecorator {
  return satisfies('valid', check, message);
}

export function NumberIn(min: number, max: number): PropertyDecorator {
  const message = `must be a number from ${min} to ${max}`;
  return satisfies('numberIn', (value) => typeof value === 'number' && isWithin(value, min, max), message);
}

/** A list of 1 to `max` texts, none twice. */
export function Texts(pattern: RegExp, max: number, message: string): PropertyDecorator {
  const isText = (value: unknown): boolean => typeof value === 'string' && pattern.test(value);
  return satisfies(
    'texts',
    (value) =>
      Array.isArray(value) &&
      value.length >= 1 &&
      value.length <= max &&
      value.every(isText) &&
      new Set(value).size === value.length,
    `must be a list of 1 to ${max} different texts, each ${message}`,
  );
}

function satisfies(
  name: string,
  validate: (value: unknown, context?: ValidationArguments) => boolean,
  message: string,
  options?: ValidationOptions,
): PropertyDecorator {
  return ValidateBy({ name, validator: { validate, defaultMessage: () => message } }, options);
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
