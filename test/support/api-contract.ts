import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenAPIV3 } from 'openapi-types';

type Schema = OpenAPIV3.SchemaObject | OpenAPIV3.ReferenceObject;

/** One answer of the API, as far as the document speaks of it. */
export interface ApiAnswer {
  method: string;
  /** With its query, if any. */
  path: string;
  status: number;
  contentType: string | null;
  text: string;
}

type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';

/** The OpenAPI document that a running API serves, held against its own answers. */
export class ApiContract {
  readonly #ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true, validateFormats: true }));
  readonly #paths: { pattern: RegExp; item: OpenAPIV3.PathItemObject }[];
  readonly #compiled = new Map<Schema, ValidateFunction>();

  constructor(document: OpenAPIV3.Document) {
    // Paths without a parameter come first: `/jobs/bulk` is not a job's id.
    this.#paths = Object.entries(document.paths)
      .sort(([a], [b]) => a.split('{').length - b.split('{').length)
      .flatMap(([path, item]) => (item ? [{ pattern: patternOf(path), item }] : []));
    this.#ajv.addSchema({ $id: 'api', components: asJsonSchema(document.components ?? {}) });
  }

  /** @param url of an API that serves its document */
  static async of(url: string): Promise<ApiContract> {
    const answer = await fetch(`${url}/docs-json`);
    if (!answer.ok) throw new Error(`${url}/docs-json answers ${answer.status}`);
    return new ApiContract((await answer.json()) as OpenAPIV3.Document);
  }

  /** @throws Error naming each place where the answer is not as the document says */
  check(answer: ApiAnswer): void {
    const differences = this.differences(answer);
    if (differences.length > 0)
      throw new Error(
        [
          `${answer.method} ${answer.path} answers ${answer.status}, other than documented:`,
          ...differences,
          answer.text.slice(0, 1_000),
        ].join('\n  '),
      );
  }

  differences({ method, path, status, contentType, text }: ApiAnswer): string[] {
    const [pathname = ''] = path.split('?');
    const item = this.#paths.find(({ pattern }) => pattern.test(pathname))?.item;
    if (!item) return []; // a page, or a path that is not there
    const operation = item[method.toLowerCase() as Method];
    if (!operation)
      return status === 405 || method === 'OPTIONS' || method === 'HEAD' ? [] : ['no such method'];

    if (status === 431) return []; // Node's own, before there is a path
    const response = operation.responses[status];
    if (!response) return [`status ${status} is not declared`];
    if ('$ref' in response) throw new Error('responses by reference are not read here');
    const [type = ''] = (contentType ?? '').split(';');
    if (!response.content) return []; // another team's route, say, whose document does not tell of its body
    const schema = response.content[type]?.schema;
    if (!schema) return [`content type ${type || 'none'} is not declared`];
    if (!type.endsWith('json')) return [];

    const validate = this.#validator(schema);
    if (validate(JSON.parse(text))) return [];
    return (validate.errors ?? []).map(
      (error) => `${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`,
    );
  }

  #validator(schema: Schema): ValidateFunction {
    const known = this.#compiled.get(schema);
    if (known) return known;
    const validate = this.#ajv.compile(asJsonSchema(schema) as object);
    this.#compiled.set(schema, validate);
    return validate;
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`);
}

/**
 * OpenAPI 3.0 says `nullable` beside a type where JSON Schema names null among the types. Objects are closed, as no schema here is
 * meant to be open that does not say so: a field that nobody documented is a difference.
 */
function asJsonSchema(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(asJsonSchema);
  if (typeof part !== 'object' || part === null) return part;

  const { nullable, example: _, ...rest } = part as Record<string, unknown>;
  const schema = mapped(rest, (value, key) => {
    if (key === '$ref') return `api${value as string}`;
    return key === 'properties'
      ? mapped(value as object, (property) => asJsonSchema(property))
      : asJsonSchema(value);
  });
  if ('properties' in schema) schema['unevaluatedProperties'] ??= false;
  return nullable === true ? { ...schema, type: [schema['type'], 'null'] } : schema;
}

function mapped(object: object, change: (value: unknown, key: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}
