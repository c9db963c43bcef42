import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { Tenant } from '../../http/tenant.js';
import { GetQueueUseCase } from '../get-queue.use-case.js';
import { ListQueuesUseCase } from '../list-queues.use-case.js';
import { PauseQueueUseCase } from '../pause-queue.use-case.js';
import { ResumeQueueUseCase } from '../resume-queue.use-case.js';
import { QueueListView, QueueView, queueView } from './queue.dto.js';

/** Queues over HTTP: see them, pause and resume them. */
@ApiTags('Queues')
@Controller('queues')
export class QueuesController {
  constructor(
    private readonly listQueues: ListQueuesUseCase,
    private readonly getQueue: GetQueueUseCase,
    private readonly pauseQueue: PauseQueueUseCase,
    private readonly resumeQueue: ResumeQueueUseCase,
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
}
