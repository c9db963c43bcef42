import { JobTypeNotFound } from '../jobs/job.errors.js';
import { jobTypeOptionsOf, type JobHandlerClass } from './job-type.js';
import { JobTypeDefinition } from './job-type-definition.js';

/** Every job type that the platform knows, by name. */
export class JobTypeRegistry {
  readonly #definitions = new Map<string, JobTypeDefinition>();

  /** @throws Error for a class without `@JobType`, without `run`, or with a name that is taken: this stops the boot */
  constructor(types: readonly JobHandlerClass[]) {
    for (const type of types) this.add(type);
  }

  /** @throws JobTypeNotFound */
  get(name: string): JobTypeDefinition {
    const definition = this.#definitions.get(name);
    if (!definition) throw new JobTypeNotFound(name);
    return definition;
  }

  find(name: string): JobTypeDefinition | undefined {
    return this.#definitions.get(name);
  }

  /** In alphabetical order. */
  all(): JobTypeDefinition[] {
    return [...this.#definitions.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** The queues that the types name, in alphabetical order. */
  queues(): string[] {
    return [...new Set(this.all().map(({ queue }) => queue))].sort();
  }

  private add(type: JobHandlerClass): void {
    const options = jobTypeOptionsOf(type);
    if (!options) throw new Error(`${type.name} is registered as a job type but has no @JobType decorator`);
    if (typeof (type.prototype as { run?: unknown }).run !== 'function') {
      throw new Error(`Job type "${options.name}": ${type.name} has no run method`);
    }
    if (this.#definitions.has(options.name)) throw new Error(`Two job types are named "${options.name}"`);
    this.#definitions.set(options.name, new JobTypeDefinition(options));
  }
}
