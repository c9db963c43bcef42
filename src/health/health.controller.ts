import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { SkipThrottle } from '@nestjs/throttler';
import { problemContent } from '../http/api-problems.js';
import { HttpProblem } from '../http/problem.js';
import { AliveView, ReadyView } from './health.dto.js';
import { Readiness } from './readiness.js';
import { VERSION } from './version.js';

/** Probes for orchestrators and load balancers: never throttled, never asked for a key. */
@ApiTags('Health')
@SkipThrottle()
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly readiness: Readiness,
  ) {}

  @Get('live')
  @ApiOperation({ summary: 'The process runs', security: [] })
  @ApiResponse({ status: 200, type: AliveView })
  live(): AliveView {
    return { status: 'ok', version: VERSION };
  }

  @Get('ready')
  @ApiOperation({
    summary: 'The process can accept jobs',
    description:
      'PostgreSQL answers and its schema is current. Without the queue it is `degraded`, and ready.',
    security: [],
  })
  @ApiResponse({ status: 200, type: ReadyView })
  @ApiResponse({ status: 503, description: '`checks` names what is down.', content: problemContent })
  async ready(): Promise<ReadyView> {
    const { status, details } = await this.check();
    return { status: status === 'degraded' ? 'degraded' : 'ok', version: VERSION, checks: details };
  }

  private async check(): Promise<HealthCheckResult> {
    try {
      return await this.health.check([
        () => this.readiness.databaseAnswers(),
        () => this.readiness.schemaIsCurrent(),
        () => this.readiness.queueAnswers(),
      ]);
    } catch (error) {
      throw error instanceof ServiceUnavailableException ? notReady(error.getResponse()) : error;
    }
  }
}

function notReady(result: object | string): HttpProblem {
  const checks = typeof result === 'object' && 'details' in result ? result.details : {};
  return new HttpProblem({
    status: 503,
    code: 'NOT_READY',
    detail: 'This process cannot accept jobs at the moment.',
    headers: { 'Retry-After': '1' },
    members: { version: VERSION, checks },
  });
}
