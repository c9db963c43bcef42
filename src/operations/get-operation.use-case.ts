import { Injectable } from '@nestjs/common';
import { OperationNotFound } from './operation.errors.js';
import { OperationRepository } from './operation-repository.js';
import type { Operation } from './operation.js';

/** Tells how far an operation has come. */
@Injectable()
export class GetOperationUseCase {
  constructor(private readonly operations: OperationRepository) {}

  /** @throws OperationNotFound */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<Operation> {
    const operation = await this.operations.find(tenant, id);
    if (!operation) throw new OperationNotFound(id);
    return operation;
  }
}
