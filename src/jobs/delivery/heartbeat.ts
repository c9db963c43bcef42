/** A worker process, as the record knows it. */
export interface WorkerRecord {
  /** New for each process start. */
  id: string;
  host: string;
  pid: number;
  queues: readonly { name: string; concurrency: number }[];
  /** The job types that it has handlers for. */
  types: readonly string[];
}

/**
 * Says, by the database's clock, that this worker process lives and that its main loop turns.
 * It beats from a thread of its own, so that a busy loop does not look like a dead process.
 */
export abstract class Heartbeat {
  /** Resolves once the worker's row exists; it beats from then on until stopped. */
  abstract start(): Promise<void>;

  /** For how long, in ms, every beat has succeeded without a gap. 0 before the first and after a failure. */
  abstract steadyFor(): number;

  /** Called when the row was gone at a beat: the lease was lost, and others may have taken over what was held. */
  abstract onLost(listener: () => void): void;

  /** Stops beating and deletes the row. */
  abstract stop(): Promise<void>;
}
