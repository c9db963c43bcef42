import { z } from 'zod';
import { JobTypeNotFound } from '../jobs/job.errors.js';
import { JobType, type JobHandlerClass } from './job-type.js';
import { JobTypeRegistry } from './job-type-registry.js';

const data = z.strictObject({});

@JobType({ name: 'resize', queue: 'images', data, example: {} })
class Resize {
  async run() {}
}

@JobType({ name: 'crop', queue: 'images', data, example: {} })
class Crop {
  async run() {}
}

@JobType({ name: 'archive', data, example: {} })
class Archive {
  async run() {}
}

@JobType({ name: 'resize', data, example: {} })
class ResizeAgain {
  async run() {}
}

@JobType({ name: 'lazy', data, example: {} })
class Lazy {}

class Undeclared {
  async run() {}
}

it('finds types by name', () => {
  const registry = new JobTypeRegistry([Resize, Archive]);

  expect(registry.get('resize').queue).toBe('images');
  expect(registry.find('resize')).toBe(registry.get('resize'));
});

it('knows nothing else, whatever it is called', () => {
  const registry = new JobTypeRegistry([Resize]);

  expect(() => registry.get('constructor')).toThrow(JobTypeNotFound);
  expect(registry.find('__proto__')).toBeUndefined();
});

it('lists the types and their queues in alphabetical order', () => {
  const registry = new JobTypeRegistry([Resize, Crop, Archive]);

  expect(registry.all().map(({ name }) => name)).toEqual(['archive', 'crop', 'resize']);
  expect(registry.queues()).toEqual(['default', 'images']);
});

it.each<[string, unknown[], string]>([
  ['two types have one name', [Resize, ResizeAgain], 'Two job types are named "resize"'],
  ['a class is registered twice', [Resize, Resize], 'Two job types are named "resize"'],
  ['a class cannot run', [Lazy], 'Job type "lazy": Lazy has no run method'],
  [
    'a class is not declared',
    [Undeclared],
    'Undeclared is registered as a job type but has no @JobType decorator',
  ],
])('stops the boot when %s', (_case, types, message) => {
  expect(() => new JobTypeRegistry(types as JobHandlerClass[])).toThrow(message);
});
