import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { QueryPipe } from '../../http/query.pipe.js';
import { Tenant } from '../../http/tenant.js';
import { GetStatsUseCase } from '../get-stats.use-case.js';
import { ProcessLoad } from '../process-load.js';
import { GetStatsDto, minutesOf, StatsView, statsView } from './stats.dto.js';

/** Counts over all jobs. */
@ApiTags('Stats')
@Controller('stats')
export class StatsController {
  constructor(
    private readonly getStats: GetStatsUseCase,
    private readonly load: ProcessLoad,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Counts, throughput, and times',
    description:
      'Live jobs a queue; what became of the jobs of each type, from statistics that are kept for a day; how often ' +
      'queue and record were found to differ; and how much the process that answers has to do.',
  })
  @ApiResponse({ status: 200, type: StatsView })
  @ApiProblems(400, 503)
  async stats(
    @Tenant() tenant: string,
    @Query(new QueryPipe(GetStatsDto)) query: GetStatsDto,
  ): Promise<StatsView> {
    return statsView(await this.getStats.execute({ tenant, minutes: minutesOf(query) }), this.load.now());
  }
}
