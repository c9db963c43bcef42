import { Module } from '@nestjs/common';
import { WorkersController } from './http/workers.controller.js';
import { ListWorkersUseCase } from './list-workers.use-case.js';

/** Who works, and on what. */
@Module({ providers: [ListWorkersUseCase], controllers: [WorkersController], exports: [ListWorkersUseCase] })
export class WorkersModule {}
