import type { JobTypeDefinition, JsonSchema } from '../job-types/job-type-definition.js';

/** What an OpenAPI 3.0 schema object may say; anything else must be an `x-` extension. */
const KEYWORDS = new Set(
  (
    'title multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems ' +
    'uniqueItems maxProperties minProperties required enum type not allOf oneOf anyOf items properties ' +
    'additionalProperties description format default nullable discriminator readOnly writeOnly example externalDocs ' +
    'deprecated xml $ref'
  ).split(' '),
);

/** The component schemas of one job type's `data`: the schema itself, and what it defines inside. */
export function dataSchemas({ name, jsonSchema }: JobTypeDefinition): Record<string, JsonSchema> {
  const own = dataSchemaName(name);
  const { definitions = {}, ...root } = jsonSchema;
  const inner = Object.entries(isSchema(definitions) ? definitions : {});
  return Object.fromEntries(
    [[own, root] as const, ...inner.map(([key, schema]) => [`${own}.${key}`, schema] as const)].map(
      ([key, schema]) => [key, isSchema(schema) ? portable(schema, own) : {}],
    ),
  );
}

export function dataSchemaName(type: string): string {
  return `${type}.data`;
}

/** References point into the document, and keywords that OpenAPI 3.0 does not know become extensions. */
function portable(schema: JsonSchema, own: string): JsonSchema {
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      if (keyword === '$ref') return [keyword, referenceInto(String(value), own)];
      if (keyword === 'properties' && isSchema(value)) return [keyword, eachPortable(value, own)];
      if (!KEYWORDS.has(keyword)) return [keyword.startsWith('x-') ? keyword : `x-${keyword}`, value];
      if (['example', 'default', 'enum'].includes(keyword)) return [keyword, value];
      if (Array.isArray(value))
        return [keyword, value.map((item: unknown) => (isSchema(item) ? portable(item, own) : item))];
      return [keyword, isSchema(value) ? portable(value, own) : value];
    }),
  );
}

function eachPortable(properties: JsonSchema, own: string): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      isSchema(schema) ? portable(schema, own) : schema,
    ]),
  );
}

/** `#` → the type's schema, `#/definitions/Part` → a component of its own */
function referenceInto(reference: string, own: string): string {
  const part = reference.replace(/^#(?:\/definitions\/)?/, '');
  return `#/components/schemas/${part ? `${own}.${part}` : own}`;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
