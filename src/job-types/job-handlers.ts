import type { z } from 'zod';
import type { JobHandler } from './job-type.js';

/** The handlers that this worker process can run, by type name. */
export class JobHandlers {
  readonly #handlers: ReadonlyMap<string, JobHandler<z.ZodType>>;

  constructor(handlers: Iterable<readonly [string, JobHandler<z.ZodType>]>) {
    this.#handlers = new Map(handlers);
  }

  /** @returns undefined for a type that this process does not know or serve */
  find(type: string): JobHandler<z.ZodType> | undefined {
    return this.#handlers.get(type);
  }
}
