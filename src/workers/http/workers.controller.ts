import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { Tenant } from '../../http/tenant.js';
import { ListWorkersUseCase } from '../list-workers.use-case.js';
import { WorkerListView, workerView } from './worker.dto.js';

/** The worker processes. */
@ApiTags('Workers')
@Controller('workers')
export class WorkersController {
  constructor(private readonly listWorkers: ListWorkersUseCase) {}

  @Get()
  @ApiOperation({
    summary: 'Who works, and on what',
    description: 'Worker processes with a heartbeat on record, oldest first, and the jobs in their hands.',
  })
  @ApiResponse({ status: 200, type: WorkerListView })
  @ApiProblems(503)
  async list(@Tenant() tenant: string): Promise<WorkerListView> {
    const workers = await this.listWorkers.execute({ tenant });

    return { items: workers.map(workerView) };
  }
}
