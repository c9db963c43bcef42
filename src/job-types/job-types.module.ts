import { Module, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { JobHandlers, type AnyJobHandler } from './job-handlers.js';
import type { JobTypeDefinition } from './job-type-definition.js';
import { jobTypeOptionsOf, type JobHandlerClass } from './job-type.js';
import { JobTypeRegistry } from './job-type-registry.js';
import { Sandbox, SandboxedHandler } from './sandbox.js';

export type ModuleImport = Type | DynamicModule;

/** What a module declares: its job types, and what their handlers need in a worker. */
export interface JobTypesDeclaration {
  types: JobHandlerClass[];
  /** Modules that export what the handlers' constructors ask for. Loaded in workers only. */
  imports?: ModuleImport[];
}

/**
 * Which handlers are made: all of them (`one loop`), those that are not sandboxed (`main loop`, which reaches the others
 * through the Sandbox), or the sandboxed ones alone (`sandbox`: in a thread).
 */
export type HandlerPlace = 'one loop' | 'main loop' | 'sandbox';

type DeclaringModule = DynamicModule & { declaration?: JobTypesDeclaration };

/** Where job types are declared, catalogued (every process) and given their handlers (workers). */
@Module({})
export class JobTypesModule {
  /** Declares job types in a feature module's `imports`. On its own it provides nothing: see `catalogue` and `handlers`. */
  static register(declaration: JobTypesDeclaration): DynamicModule {
    const declaring: DeclaringModule = { module: class JobTypesDeclarationModule {}, declaration };
    return declaring;
  }

  /** The registry of all types that the modules declare, for the whole process. */
  static catalogue(modules: readonly ModuleImport[]): DynamicModule {
    const registry = registryOf(modules);
    return {
      module: class JobTypesCatalogueModule {},
      global: true,
      providers: [{ provide: JobTypeRegistry, useValue: registry }],
      exports: [JobTypeRegistry],
    };
  }

  /** The handlers of the declared types whose queue is served here, as ordinary providers with their hooks. */
  static handlers(
    modules: readonly ModuleImport[],
    servesQueue: (queue: string) => boolean,
    place: HandlerPlace = 'one loop',
  ): DynamicModule {
    const parts = declarationsIn(modules).map(({ types, imports = [] }) => {
      const served = types.filter((type) => servesQueue(jobTypeOptionsOf(type)?.queue ?? 'default'));
      const here = served.filter((type) => runsHere(type, place));
      const idle = here.length === 0 && (place === 'sandbox' || served.length > 0);
      return { served, here, module: handlerModule(here, idle ? [] : imports) };
    });
    const all = parts.flatMap(({ here }) => here);
    const apart =
      place === 'main loop' ? parts.flatMap(({ served }) => served.filter(isSandboxed)).map(nameOf) : [];
    const handlers: Provider = {
      provide: JobHandlers,
      useFactory: (...instances: unknown[]) =>
        new JobHandlers([
          ...all.map((type, index) => [nameOf(type), instances[index] as AnyJobHandler] as const),
          ...apart.map((name) => [name, new SandboxedHandler(name, instances.at(-1) as Sandbox)] as const),
        ]),
      inject: place === 'main loop' ? [...all, Sandbox] : all,
    };
    return {
      module: class JobHandlersModule {},
      global: true,
      imports: parts.map(({ module }) => module),
      providers: [handlers],
      exports: [JobHandlers],
    };
  }
}

function runsHere(type: JobHandlerClass, place: HandlerPlace): boolean {
  return place === 'one loop' || isSandboxed(type) === (place === 'sandbox');
}

function isSandboxed(type: JobHandlerClass): boolean {
  return jobTypeOptionsOf(type)?.sandboxed ?? false;
}

function nameOf(type: JobHandlerClass): string {
  return jobTypeOptionsOf(type)?.name ?? '';
}

/** Each declaration keeps its own imports, so that two teams' providers do not meet. */
function handlerModule(types: JobHandlerClass[], imports: ModuleImport[]): DynamicModule {
  return { module: class JobHandlersFeatureModule {}, imports, providers: types, exports: types };
}

/** The queue names that the declared types use. Needed before Nest starts, to register the queues. */
export function queuesIn(modules: readonly ModuleImport[]): string[] {
  return registryOf(modules).queues();
}

/** The declared types, known before Nest starts. */
export function typesIn(modules: readonly ModuleImport[]): JobTypeDefinition[] {
  return registryOf(modules).all();
}

/** The declarations that have sandboxed types served here, each with a module of its own for their handlers. */
export function sandboxesIn(
  modules: readonly ModuleImport[],
  servesQueue: (queue: string) => boolean,
): { types: string[]; handlers: DynamicModule }[] {
  const declarations = declarationsIn(modules).map((declaration) => ({
    types: declaration.types
      .filter((type) => isSandboxed(type) && servesQueue(jobTypeOptionsOf(type)?.queue ?? 'default'))
      .map(nameOf),
    handlers: JobTypesModule.handlers([JobTypesModule.register(declaration)], servesQueue, 'sandbox'),
  }));
  return declarations.filter(({ types }) => types.length > 0);
}

function registryOf(modules: readonly ModuleImport[]): JobTypeRegistry {
  return new JobTypeRegistry(declarationsIn(modules).flatMap(({ types }) => types));
}

/** Walks the modules' imports, as Nest will, and gathers the declarations. */
function declarationsIn(modules: readonly unknown[], seen = new Set<unknown>()): JobTypesDeclaration[] {
  return modules.flatMap((unresolved) => {
    const imported = moduleOf(unresolved);
    if (seen.has(imported)) return [];
    seen.add(imported);

    const dynamic: DeclaringModule | undefined = 'module' in imported ? imported : undefined;
    const statics = (Reflect.getMetadata('imports', dynamic?.module ?? imported) ?? []) as unknown[];
    const nested = declarationsIn([...statics, ...(dynamic?.imports ?? [])], seen);
    return dynamic?.declaration ? [dynamic.declaration, ...nested] : nested;
  });
}

/** @throws Error for what Nest could not import either, or only later */
function moduleOf(imported: unknown): ModuleImport {
  if (imported instanceof Promise)
    throw new Error('A module that declares job types cannot be imported by a promise');
  if (isForwardReference(imported)) return moduleOf(imported.forwardRef());
  if (isModule(imported)) return imported;
  throw new Error(
    `${String(imported)} is no module: a circular import of files leaves undefined in "imports"`,
  );
}

function isForwardReference(value: unknown): value is { forwardRef: () => unknown } {
  return typeof value === 'object' && value !== null && 'forwardRef' in value;
}

/** A module class, or a dynamic module. */
export function isModule(value: unknown): value is ModuleImport {
  return typeof value === 'function' || (typeof value === 'object' && value !== null && 'module' in value);
}
