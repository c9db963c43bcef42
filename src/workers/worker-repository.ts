/** A job that a worker runs. */
export interface JobInHand {
  id: string;
  type: string;
  since: Date;
}

/** A worker process, by the database's clock. */
export interface WorkerState {
  id: string;
  host: string;
  pid: number;
  queues: { name: string; concurrency: number }[];
  concurrency: number;
  /** The job types that it runs; null for a worker of an older version, which does not say. */
  types: string[] | null;
  startedAt: Date;
  heartbeatAt: Date;
  /** How late its main loop was at the last beat, in ms. */
  lag: number;
  /** Its heartbeat is older than the lease: it counts as dead, and its jobs are about to be taken back. */
  stale: boolean;
  /** How many of the tenant's jobs it has, and those that it has had longest. */
  active: number;
  jobs: JobInHand[];
}

/** The worker processes on record. Calls throw RecordUnavailable when the database does not answer. */
export abstract class WorkerRepository {
  /**
   * Those that started first, first.
   * @param tenant whose jobs are told @param most workers, and jobs of each
   */
  abstract list(tenant: string, most: { workers: number; jobs: number }): Promise<WorkerState[]>;
}
