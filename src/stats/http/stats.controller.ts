import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { Tenant } from '../../http/tenant.js';
import { GetStatsUseCase } from '../get-stats.use-case.js';
import { StatsView, statsView } from './stats.dto.js';

/** Counts over all jobs. */
@ApiTags('Stats')
@Controller('stats')
export class StatsController {
  constructor(private readonly getStats: GetStatsUseCase) {}

  @Get()
  @ApiOperation({ summary: 'Live jobs a queue, and how often queue and record were found to differ' })
  @ApiResponse({ status: 200, type: StatsView })
  @ApiProblems(503)
  async stats(@Tenant() tenant: string): Promise<StatsView> {
    return statsView(await this.getStats.execute({ tenant }));
  }
}
