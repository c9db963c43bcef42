import { DomainError } from '../jobs/job.errors.js';

export class OperationNotFound extends DomainError {
  readonly code = 'OPERATION_NOT_FOUND';

  constructor(id: string) {
    super(`No operation has the id ${id}.`);
  }
}
