import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, getSchemaPath, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { VERSION } from '../health/version.js';
import { problemContent } from '../http/api-problems.js';
import type { JobTypeDefinition } from '../job-types/job-type-definition.js';
import type { JobTypeRegistry } from '../job-types/job-type-registry.js';
import { SubmitJobDto, SubmitJobsDto, SubmitOptionsDto } from '../jobs/http/submit-job.dto.js';
import { MAX_BULK } from '../jobs/limits.js';
import { dataSchemaName, dataSchemas } from './job-type-schemas.js';
import { allowNull } from './nullable-references.js';

type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>;
type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const PROBLEMS_OF_EVERY_ROUTE = {
  401: { description: 'An API key is needed, or the one given is not known.', content: problemContent },
  429: { description: 'Too many requests. Try again after `Retry-After`.', content: problemContent },
  500: { description: 'A fault of the platform.', content: problemContent },
};

/** Swagger UI at `/docs`, the document at `/docs-json`. Call it after `configureHttp`, which guards both. */
export function mountSwagger(app: NestExpressApplication, document: OpenAPIObject): void {
  SwaggerModule.setup('docs', app, document, {
    raw: ['json'],
    customSiteTitle: 'Job Queue: API',
    swaggerOptions: {
      persistAuthorization: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      validatorUrl: null,
    },
  });
}

/**
 * The whole API as OpenAPI 3.0; what can be submitted comes from the job types themselves.
 * @param needsKey whether the API asks for a key: Swagger UI offers to enter one only then
 */
export function openApiDocument(
  app: NestExpressApplication,
  registry: JobTypeRegistry,
  needsKey: boolean,
): OpenAPIObject {
  const document = SwaggerModule.createDocument(app, description(needsKey));
  const types = registry.all();

  describeSubmits(document, types);
  allowNull(document.components);
  for (const operation of operationsIn(document)) {
    const open = !needsKey || operation.security?.length === 0;
    const { 401: unauthorized, ...others } = PROBLEMS_OF_EVERY_ROUTE;
    operation.responses = { ...others, ...(open ? {} : { 401: unauthorized }), ...operation.responses };
  }
  return document;
}

function description(needsKey: boolean): Omit<OpenAPIObject, 'paths'> {
  const builder = new DocumentBuilder()
    .setTitle('Job Queue Management Platform')
    .setDescription(
      'Submit background work, and see what became of it. Errors are RFC 9457 problem documents ' +
        '(`application/problem+json`); times are RFC 3339 in UTC.',
    )
    .setVersion(VERSION)
    .addTag('Jobs', 'Submit, follow, retry.')
    .addTag('Job types', 'What can be submitted.')
    .addTag('Queues', 'What is in them; pause, resume, drain.')
    .addTag('Workers', 'Who works, and on what.')
    .addTag('Stats', 'Counts and times.')
    .addTag('Schedules', 'Jobs at set times.')
    .addTag('Health', 'Probes.');
  if (!needsKey) return builder.build();
  return builder
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key.' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .addSecurityRequirements('bearer')
    .addSecurityRequirements('apiKey')
    .build();
}

/** `POST /jobs` takes one of the types: each with its own schema for `data`, and an example that works as it stands. */
function describeSubmits(document: OpenAPIObject, types: readonly JobTypeDefinition[]): void {
  const submit = document.paths['/jobs']?.post;
  const submitMany = document.paths['/jobs/bulk']?.post;
  if (!submit || !submitMany || types.length === 0) return;

  const schemas = ((document.components ??= {}).schemas ??= {});
  Object.assign(schemas, ...types.map(dataSchemas), ...types.map(submitSchema), anySubmitSchema(types));
  // Replaced by what the types say.
  delete schemas[SubmitJobDto.name];
  delete schemas[SubmitJobsDto.name];
  submit.requestBody = {
    required: true,
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/Submit' },
        examples: examplesOf(types, ({ name, example }) => ({ type: name, data: example })),
      },
    },
  };
  const jobs = {
    type: 'array',
    minItems: 1,
    maxItems: MAX_BULK,
    items: { $ref: '#/components/schemas/Submit' },
  };
  submitMany.requestBody = {
    required: true,
    content: {
      'application/json': {
        schema: { type: 'object', required: ['jobs'], additionalProperties: false, properties: { jobs } },
        examples: examplesOf(types, ({ name, example }) => ({
          jobs: Array(2).fill({ type: name, data: example }),
        })),
      },
    },
  };
}

function submitSchema({ name, description }: JobTypeDefinition): Schemas {
  return {
    [name]: {
      type: 'object',
      description,
      required: ['type', 'data'],
      additionalProperties: false,
      properties: {
        type: { type: 'string', enum: [name] },
        data: { $ref: `#/components/schemas/${dataSchemaName(name)}` },
        options: { $ref: getSchemaPath(SubmitOptionsDto) },
      },
    },
  };
}

function anySubmitSchema(types: readonly JobTypeDefinition[]): Schemas {
  const references = types.map(({ name }) => [name, `#/components/schemas/${name}`] as const);
  return {
    Submit: {
      oneOf: references.map(([, $ref]) => ({ $ref })),
      discriminator: { propertyName: 'type', mapping: Object.fromEntries(references) },
    },
  };
}

function examplesOf(types: readonly JobTypeDefinition[], valueOf: (type: JobTypeDefinition) => unknown) {
  return Object.fromEntries(
    types.map((type) => [type.name, { summary: type.description || type.name, value: valueOf(type) }]),
  );
}

function operationsIn({ paths }: OpenAPIObject): Operation[] {
  return Object.values(paths).flatMap(({ get, put, post, delete: remove, patch }) =>
    [get, put, post, remove, patch].filter((operation) => operation !== undefined),
  );
}
