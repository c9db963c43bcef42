import { Module, type DynamicModule, type FactoryProvider, type Provider } from '@nestjs/common';
import { z } from 'zod';
import { BuiltInJobTypesModule } from './built-in-job-types.module.js';
import { JobHandlers } from './job-handlers.js';
import { JobType } from './job-type.js';
import { JobTypeRegistry } from './job-type-registry.js';
import { JobTypesModule, queuesIn, sandboxesIn, type HandlerPlace } from './job-types.module.js';
import type { SandboxedHandler } from './sandbox.js';

const data = z.strictObject({});

@JobType({ name: 'resize', queue: 'images', data, example: {} })
class Resize {
  async run() {}
}

@JobType({ name: 'archive', queue: 'nightly', data, example: {} })
class Archive {
  async run() {}
}

@Module({})
class ImageTools {}

@Module({ imports: [JobTypesModule.register({ types: [Resize], imports: [ImageTools] })] })
class ImagesModule {}

@Module({ imports: [ImagesModule, JobTypesModule.register({ types: [Archive] })] })
class TeamModule {}

/** What the module would give Nest under a class's name. */
function provided(providers: Provider[] | undefined, token: unknown): unknown {
  const found = providers?.find((provider) => 'provide' in provider && provider.provide === token);
  return found && 'useValue' in found ? found.useValue : undefined;
}

describe('declarations', () => {
  it('are found in modules, in what these import, and in what is registered directly', () => {
    expect(queuesIn([TeamModule])).toEqual(['images', 'nightly']);
    expect(queuesIn([JobTypesModule.register({ types: [Archive] })])).toEqual(['nightly']);
    expect(queuesIn([{ module: class Dynamic {}, imports: [ImagesModule] }])).toEqual(['images']);
  });

  it('count once however often their module is imported', () => {
    expect(queuesIn([TeamModule, ImagesModule, TeamModule])).toEqual(['images', 'nightly']);
  });

  it('stop the boot when two modules use one name', () => {
    const again = JobTypesModule.register({ types: [Resize] });

    expect(() => queuesIn([ImagesModule, again])).toThrow('Two job types are named "resize"');
  });

  it('are none where nothing is declared', () => {
    expect(queuesIn([ImageTools])).toEqual([]);
  });
});

it('catalogues every declared type for the whole process, without the handlers', () => {
  const { global, providers, imports = [] } = JobTypesModule.catalogue([TeamModule]);

  const registry = provided(providers, JobTypeRegistry) as JobTypeRegistry;
  expect(registry.all().map(({ name }) => name)).toEqual(['archive', 'resize']);
  expect({ global, imports, providers: providers?.length }).toEqual({
    global: true,
    imports: [],
    providers: 1,
  });
});

it('hands out handlers only for the queues that are served, each beside its own imports', () => {
  const { imports, exports } = JobTypesModule.handlers([TeamModule], (queue) => queue === 'images');

  expect(imports).toMatchObject([
    { imports: [ImageTools], providers: [Resize] },
    { imports: [], providers: [] },
  ]);
  expect(exports).toEqual([JobHandlers]);
});

describe('a sandboxed type', () => {
  @JobType({ name: 'render', data, example: {}, sandboxed: true })
  class Render {
    async run() {}
  }
  const modules = [JobTypesModule.register({ types: [Render], imports: [ImageTools] }), TeamModule];
  const made = (place?: HandlerPlace) =>
    (JobTypesModule.handlers(modules, () => true, place).imports as DynamicModule[]).map(
      ({ imports, providers }) => [imports, providers],
    );

  it('is left to the threads by the main loop, with what it needs', () => {
    expect(made('main loop')).toEqual([
      [[], []],
      [[ImageTools], [Resize]],
      [[], [Archive]],
    ]);
  });

  it('is all that a thread has', () => {
    expect(made('sandbox')).toEqual([
      [[ImageTools], [Render]],
      [[], []],
      [[], []],
    ]);
  });

  it('has a module of its own in a thread, where its queue is served', () => {
    expect(sandboxesIn(modules, () => true)).toEqual([
      { types: ['render'], handlers: expect.objectContaining({ exports: [JobHandlers] }) },
    ]);
    expect(sandboxesIn(modules, () => false)).toEqual([]);
  });

  it('runs beside the others where there is one loop alone', () => {
    expect(made()).toContainEqual([[ImageTools], [Render]]);
  });

  it('has what stands for its handler on the main loop', async () => {
    const [provider] = JobTypesModule.handlers(modules, () => true, 'main loop')
      .providers as FactoryProvider[];
    const entered = jest.fn(async () => undefined);
    const handlers = (await provider?.useFactory(new Resize(), new Archive(), {
      enter: entered,
    })) as JobHandlers;

    const { signal } = new AbortController();
    await (handlers.find('render') as SandboxedHandler).enter(signal);
    expect(entered).toHaveBeenCalledWith('render', signal);
    expect(handlers.find('resize')).toBeInstanceOf(Resize);
  });
});

it('comes with send_email and demo', () => {
  const registry = provided(JobTypesModule.catalogue([BuiltInJobTypesModule]).providers, JobTypeRegistry);

  expect((registry as JobTypeRegistry).all().map(({ name }) => name)).toEqual([
    'demo',
    'http_request',
    'send_email',
  ]);
  expect(queuesIn([BuiltInJobTypesModule])).toEqual(['default']);
});
