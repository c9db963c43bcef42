import type { AttemptRoom } from '../jobs/running/attempt-room.js';

/** Runs handlers of sandboxed types in threads of this process. */
export abstract class Sandbox {
  /**
   * Waits for a free thread. Where none can be started, the attempt is what fails, with the reason.
   * @returns undefined where the signal came first
   */
  abstract enter(type: string, signal: AbortSignal): Promise<AttemptRoom | undefined>;
}

/** Stands for the handler of a sandboxed type in the process that has the threads. */
export class SandboxedHandler {
  constructor(
    private readonly type: string,
    private readonly sandbox: Sandbox,
  ) {}

  enter(signal: AbortSignal): Promise<AttemptRoom | undefined> {
    return this.sandbox.enter(this.type, signal);
  }
}
