import { Body, Controller, Get, HttpCode, Post, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ApiProblems } from '../../http/api-problems.js';
import { JsonEnvelopePipe } from '../../http/json-envelope.pipe.js';
import { Tenant } from '../../http/tenant.js';
import { JobId } from '../../jobs/http/job-id.js';
import { GetOperationUseCase } from '../get-operation.use-case.js';
import type { OperationKind } from '../operation.js';
import { StartOperationUseCase } from '../start-operation.use-case.js';
import { filterOf, MatchedView, OperationView, operationView, StartOperationDto } from './operation.dto.js';

const asStart = new JsonEnvelopePipe(StartOperationDto);
const location = {
  Location: { description: 'Where to ask how far it has come.', schema: { type: 'string' as const } },
};
const example = (filter: object) => ({
  count: { summary: 'Count first', value: { filter, dryRun: true } },
  start: { summary: 'Do it', value: { filter } },
});

/** Decisions on all jobs that a filter matches. */
@ApiTags('Operations')
@Controller()
export class OperationsController {
  constructor(
    private readonly startOperation: StartOperationUseCase,
    private readonly getOperation: GetOperationUseCase,
  ) {}

  @Post('jobs/cancel')
  @HttpCode(202)
  @ApiOperation({
    summary: 'End all jobs that match and are not over',
    description: 'It goes on in the background, over restarts; jobs that are submitted later are left alone.',
  })
  @ApiBody({ type: StartOperationDto, examples: example({ type: ['send_email'], status: ['delayed'] }) })
  @ApiResponse({ status: 202, type: OperationView, headers: location })
  @ApiResponse({ status: 200, type: MatchedView, description: 'With `dryRun`: nothing was done.' })
  @ApiProblems(400, 413, 415, 422, 503)
  cancel(
    @Tenant() tenant: string,
    @Body(asStart) body: StartOperationDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationView | MatchedView> {
    return this.start(tenant, 'cancel', body, response);
  }

  @Post('jobs/retry')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Run all jobs that match and have failed, or were cancelled, again',
    description: 'It goes on in the background, over restarts.',
  })
  @ApiBody({ type: StartOperationDto, examples: example({ status: ['failed'], createdFrom: '2026-11-24' }) })
  @ApiResponse({ status: 202, type: OperationView, headers: location })
  @ApiResponse({ status: 200, type: MatchedView, description: 'With `dryRun`: nothing was done.' })
  @ApiProblems(400, 413, 415, 422, 503)
  retry(
    @Tenant() tenant: string,
    @Body(asStart) body: StartOperationDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<OperationView | MatchedView> {
    return this.start(tenant, 'retry', body, response);
  }

  @Get('operations/:id')
  @ApiOperation({ summary: 'How far an operation has come' })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: OperationView })
  @ApiProblems(400, 404, 503)
  async status(@Tenant() tenant: string, @JobId() id: string): Promise<OperationView> {
    return operationView(await this.getOperation.execute({ tenant, id }));
  }

  private async start(
    tenant: string,
    kind: OperationKind,
    body: StartOperationDto,
    response: Response,
  ): Promise<OperationView | MatchedView> {
    const input = { tenant, kind, filter: filterOf(body) };
    if (body.dryRun) {
      response.status(200);
      return { matched: await this.startOperation.count(input) };
    }
    const operation = await this.startOperation.execute(input);
    response.location(`/operations/${operation.id}`);
    return operationView(operation);
  }
}
