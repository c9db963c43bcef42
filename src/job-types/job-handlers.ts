import type { z } from 'zod';
import type { JobHandler } from './job-type.js';
import type { SandboxedHandler } from './sandbox.js';

export type AnyJobHandler = JobHandler<z.ZodType>;

/** The handlers that this worker process can run, by type name. */
export class JobHandlers {
  readonly #handlers: ReadonlyMap<string, AnyJobHandler | SandboxedHandler>;

  constructor(handlers: Iterable<readonly [string, AnyJobHandler | SandboxedHandler]>) {
    this.#handlers = new Map(handlers);
  }

  /** @returns undefined for a type that this process does not know or serve */
  find(type: string): AnyJobHandler | SandboxedHandler | undefined {
    return this.#handlers.get(type);
  }
}
