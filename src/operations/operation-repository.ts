import type { JobFilter } from '../jobs/job-repository.js';
import type { Operation, OperationKind } from './operation.js';

/** The record of operations. Calls throw RecordUnavailable when the database does not answer. */
export abstract class OperationRepository {
  /** Jobs that match now. */
  abstract count(tenant: string, filter: JobFilter): Promise<number>;

  /** @param filter its statuses are those in which a job can be decided on */
  abstract start(tenant: string, kind: OperationKind, filter: JobFilter): Promise<Operation>;

  abstract find(tenant: string, id: string): Promise<Operation | undefined>;

  /**
   * Takes the next batch of the operation that has waited longest, unless another process has it in hand. What is done
   * and how far it has come are committed together, so that a process may die at any moment.
   * @returns the operation after it; undefined where none is left
   */
  abstract step(limit: number): Promise<Operation | undefined>;
}
