import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { Tenant } from '../../http/tenant.js';
import { JobId } from '../../jobs/http/job-id.js';
import { ExplainJobUseCase } from '../explain-job.use-case.js';
import { ExplanationView, explanationView } from './explanation.dto.js';

/** Why a job is not running, and when it should. */
@ApiTags('Jobs')
@Controller('jobs')
export class ExplainController {
  constructor(private readonly explainJob: ExplainJobUseCase) {}

  @Get(':id/explain')
  @ApiOperation({
    summary: 'Why a job is not running, and when it should',
    description:
      'Names all that stands between a job and its start, with what would open it; of a job that runs or is over, ' +
      'what happened.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: ExplanationView })
  @ApiProblems(400, 404, 503)
  async explain(@Tenant() tenant: string, @JobId() id: string): Promise<ExplanationView> {
    return explanationView(await this.explainJob.execute({ tenant, id }));
  }
}
