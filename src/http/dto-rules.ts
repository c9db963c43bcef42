import type { Type } from '@nestjs/common';
import { getMetadataStorage, ValidationTypes, type MetadataStorage } from 'class-validator';

type Metadata = ReturnType<MetadataStorage['getTargetValidationMetadatas']>[number];
type Rule = (dto: object, value: unknown) => boolean;

interface Field {
  name: string;
  /** Where one of them does not hold, the field is not looked at. */
  conditions: Rule[];
  checks: Rule[];
}

const fields = new WeakMap<object, Field[]>();

/**
 * Whether a DTO is valid for certain. class-validator gathers a class's decorators anew at each call, which takes longer
 * than all they check; here they are gathered once. What is wrong, and what this cannot tell, is left to it to say.
 */
export function isSurelyValid(type: Type<object>, dto: object): boolean {
  return fieldsOf(type).every(({ name, conditions, checks }) => {
    const value: unknown = Reflect.get(dto, name);
    return !conditions.every((holds) => holds(dto, value)) || checks.every((passes) => passes(dto, value));
  });
}

function fieldsOf(type: Type<object>): Field[] {
  let known = fields.get(type);
  if (!known) {
    const storage = getMetadataStorage();
    const metadatas = storage.getTargetValidationMetadatas(type, '', true, false);
    known = Object.entries(storage.groupByPropertyName(metadatas)).map(([name, ofField]) => ({
      name,
      conditions: ofField.filter(isCondition).map(conditionIn),
      checks: ofField.filter((metadata) => !isCondition(metadata)).map(checkIn),
    }));
    fields.set(type, known);
  }
  return known;
}

function isCondition({ type }: Metadata): boolean {
  return type === ValidationTypes.CONDITIONAL_VALIDATION;
}

/** As `ValidateIf` was given it. */
function conditionIn({ constraints }: Metadata): Rule {
  const condition: unknown = constraints[0];
  return (dto, value) =>
    typeof condition === 'function' && Boolean(Reflect.apply(condition, dto, [dto, value]));
}

function checkIn({ type, each, validateIf, constraintCls, constraints, propertyName }: Metadata): Rule {
  if (type !== ValidationTypes.CUSTOM_VALIDATION || each || validateIf) return () => false;
  const validators = getMetadataStorage()
    .getTargetValidatorConstraints(constraintCls)
    .map(({ instance }) => instance);

  return (object, value) => {
    const asked = { value, object, constraints, property: propertyName, targetName: object.constructor.name };
    return validators.every((validator) => validator.validate(value, asked) === true);
  };
}
