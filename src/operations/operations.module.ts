import { Module } from '@nestjs/common';
import { GetOperationUseCase } from './get-operation.use-case.js';
import { OperationsController } from './http/operations.controller.js';
import { OperationRunner } from './operation-runner.js';
import { StartOperationUseCase } from './start-operation.use-case.js';

/** Decisions on many jobs at once. API processes carry them out: a worker's time belongs to its jobs. */
@Module({
  providers: [StartOperationUseCase, GetOperationUseCase, OperationRunner],
  controllers: [OperationsController],
  exports: [StartOperationUseCase, GetOperationUseCase],
})
export class OperationsModule {}
