import { Controller, Get, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ApiProblems } from '../../http/api-problems.js';
import { Tenant } from '../../http/tenant.js';
import { OperationView, operationView } from '../../operations/http/operation.dto.js';
import { DrainQueueUseCase } from '../drain-queue.use-case.js';
import { GetQueueUseCase } from '../get-queue.use-case.js';
import { ListQueuesUseCase } from '../list-queues.use-case.js';
import { PauseQueueUseCase } from '../pause-queue.use-case.js';
import { ResumeQueueUseCase } from '../resume-queue.use-case.js';
import { QueueListView, QueueView, queueView } from './queue.dto.js';

/** Queues over HTTP: see them, pause, resume and drain them. */
@ApiTags('Queues')
@Controller('queues')
export class QueuesController {
  constructor(
    private readonly listQueues: ListQueuesUseCase,
    private readonly getQueue: GetQueueUseCase,
    private readonly pauseQueue: PauseQueueUseCase,
    private readonly resumeQueue: ResumeQueueUseCase,
    private readonly drainQueue: DrainQueueUseCase,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List the queues',
    description: 'Those that a job type uses, that a job is in, or that are paused, in alphabetical order.',
  })
  @ApiResponse({ status: 200, type: QueueListView })
  @ApiProblems(503)
  async list(@Tenant() tenant: string): Promise<QueueListView> {
    return { items: (await this.listQueues.execute({ tenant })).map(queueView) };
  }

  @Get(':name')
  @ApiOperation({ summary: 'What is in a queue, how it moves, and who serves it' })
  @ApiParam({ name: 'name', example: 'default' })
  @ApiResponse({ status: 200, type: QueueView })
  @ApiProblems(404, 503)
  async get(@Tenant() tenant: string, @Param('name') name: string): Promise<QueueView> {
    return queueView(await this.getQueue.execute({ tenant, name }));
  }

  @Post(':name/pause')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Let no job of a queue start',
    description:
      'Until it is resumed, over restarts too. Jobs are still accepted, and those that run go on to their end. ' +
      'A queue that is paused already stays so.',
  })
  @ApiParam({ name: 'name', example: 'default' })
  @ApiResponse({ status: 200, type: QueueView })
  @ApiProblems(404, 503)
  async pause(@Tenant() tenant: string, @Param('name') name: string): Promise<QueueView> {
    return queueView(await this.pauseQueue.execute({ tenant, name }));
  }

  @Post(':name/resume')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Let the jobs of a paused queue start again',
    description: 'A queue that is not paused stays so.',
  })
  @ApiParam({ name: 'name', example: 'default' })
  @ApiResponse({ status: 200, type: QueueView })
  @ApiProblems(404, 503)
  async resume(@Tenant() tenant: string, @Param('name') name: string): Promise<QueueView> {
    return queueView(await this.resumeQueue.execute({ tenant, name }));
  }

  @Post(':name/drain')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Cancel what waits in a queue',
    description:
      'Delayed jobs and those between two attempts included. It goes on in the background, over restarts; what runs ' +
      'goes on, and jobs that are submitted later are left alone.',
  })
  @ApiParam({ name: 'name', example: 'default' })
  @ApiResponse({
    status: 202,
    type: OperationView,
    headers: { Location: { description: 'Where to ask how far it has come.', schema: { type: 'string' } } },
  })
  @ApiProblems(404, 503)
  async drain(
    @Tenant() tenant: string,
    @Param('name') name: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationView> {
    const operation = await this.drainQueue.execute({ tenant, name });

    response.location(`/operations/${operation.id}`);
    return operationView(operation);
  }
}
