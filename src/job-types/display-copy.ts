import type { Json } from '../jobs/job.js';
import type { JsonSchema } from './job-type-definition.js';

const LONGEST_TEXT = 200;
const MOST_ENTRIES = 20;
const DEEPEST = 4;

/**
 * What dashboards show of a job's data: fields whose schema says `sensitive` are masked, long texts and lists cut.
 * @param schema JSON Schema of the value, as zod makes it
 */
export function displayCopy(value: Json, schema: JsonSchema = NO_SCHEMA): Json {
  return copy(
    value,
    known(schema, schema, () => variantsOf(schema, schema)),
    schema,
    0,
  );
}

const NO_SCHEMA: JsonSchema = {};

/** What schemas say does not change: it is looked up once. By what is looked at, then by the word. */
const lookedUp = new WeakMap<object, Map<unknown, JsonSchema[]>>();

function known(of: object, word: unknown, look: () => JsonSchema[]): JsonSchema[] {
  const words = lookedUp.get(of) ?? new Map<unknown, JsonSchema[]>();
  lookedUp.set(of, words);
  const found = words.get(word) ?? look();
  words.set(word, found);
  return found;
}

/** @param variants all that the schema says of this value. One that says `sensitive` is enough. */
function copy(value: Json, variants: JsonSchema[], root: JsonSchema, depth: number): Json {
  if (variants.some((variant) => variant['sensitive'] === true)) return '***';
  if (typeof value === 'string') return cut(value);
  if (value === null || typeof value !== 'object') return value;
  if (depth >= DEEPEST) return Array.isArray(value) ? '[…]' : '{…}';

  if (Array.isArray(value)) {
    const ofItems = known(variants, 'items', () =>
      variants.flatMap((variant) => variantsOf(variant['items'], root)),
    );
    const shown = value.slice(0, MOST_ENTRIES).map((item) => copy(item, ofItems, root, depth + 1));
    return value.length > MOST_ENTRIES ? [...shown, `… ${value.length - MOST_ENTRIES} more`] : shown;
  }

  const entries = Object.entries(value);
  const shown = entries.slice(0, MOST_ENTRIES).map(([key, item]) => {
    return [cut(key), copy(item, variantsOfProperty(variants, key, root), root, depth + 1)] as const;
  });
  if (entries.length > MOST_ENTRIES) shown.push(['…', `${entries.length - MOST_ENTRIES} more`]);
  return Object.fromEntries(shown);
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT
    ? `${text.slice(0, LONGEST_TEXT).toWellFormed()}… (${text.length} characters)`
    : text;
}

/** Keys that the schema does not name are the data's own, and as many as it likes: they are not remembered. */
function variantsOfProperty(variants: JsonSchema[], key: string, root: JsonSchema): JsonSchema[] {
  const look = (): JsonSchema[] =>
    variants.flatMap((variant) => variantsOf(propertySchema(variant, key), root));
  const isNamed = variants.some(({ properties }) => isSchema(properties) && Object.hasOwn(properties, key));
  return isNamed ? known(variants, `.${key}`, look) : look();
}

function propertySchema(schema: JsonSchema, key: string): unknown {
  const properties = (schema['properties'] ?? {}) as Record<string, unknown>;
  return Object.hasOwn(properties, key) ? properties[key] : schema['additionalProperties'];
}

/** The schema itself, its alternatives and what they refer to. */
function variantsOf(schema: unknown, root: JsonSchema, seen = new Set<unknown>()): JsonSchema[] {
  if (!isSchema(schema) || seen.has(schema)) return [];
  seen.add(schema);

  const nested = ['anyOf', 'oneOf', 'allOf'].flatMap((word) => (schema[word] ?? []) as unknown[]);
  const parts = [...nested, referred(schema['$ref'], root)];
  return [schema, ...parts.flatMap((part) => variantsOf(part, root, seen))];
}

/** Zod refers to schemas with an id, and to recursive ones, by a pointer such as `#/definitions/Address`. */
function referred(ref: unknown, root: JsonSchema): unknown {
  if (typeof ref !== 'string') return undefined;
  return ref
    .split('/')
    .slice(1)
    .reduce<unknown>((found, key) => (isSchema(found) ? found[key] : undefined), root);
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}
