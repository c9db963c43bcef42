import { Body, Controller, Delete, Get, HttpCode, Put, Query, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ApiProblems, problemContent } from '../../http/api-problems.js';
import { JsonEnvelopePipe } from '../../http/json-envelope.pipe.js';
import { QueryPipe } from '../../http/query.pipe.js';
import { Tenant } from '../../http/tenant.js';
import { DeleteScheduleUseCase } from '../use-cases/delete-schedule.use-case.js';
import { GetScheduleUseCase } from '../use-cases/get-schedule.use-case.js';
import { ListSchedulesUseCase } from '../use-cases/list-schedules.use-case.js';
import { PutScheduleUseCase } from '../use-cases/put-schedule.use-case.js';
import { cursorAfterSchedule, ListSchedulesDto, schedulePageOf } from './list-schedules.dto.js';
import { PutScheduleDto } from './put-schedule.dto.js';
import { ScheduleName } from './schedule-name.js';
import {
  ScheduleDetailView,
  scheduleDetailView,
  ScheduleListView,
  ScheduleView,
  scheduleView,
} from './schedule-view.dto.js';

const asSchedule = new JsonEnvelopePipe(PutScheduleDto);
const asListQuery = new QueryPipe(ListSchedulesDto);

const email = {
  type: 'send_email',
  data: { to: 'ada@example.com', subject: 'Report', body: 'Good morning!' },
};
const examples = {
  cron: {
    summary: 'On working days at half past nine in Berlin',
    value: { cron: '30 9 * * 1-5', timezone: 'Europe/Berlin', ...email, overlap: 'skip' },
  },
  every: {
    summary: 'Four times an hour, none left out',
    value: { every: '15m', type: 'demo', data: { durationMs: 100 }, misfire: 'all' },
  },
};
const named = { name: 'name', example: 'daily-report', schema: { type: 'string', maxLength: 100 } } as const;

/** Jobs at set times, over HTTP. */
@ApiTags('Schedules')
@Controller('schedules')
export class SchedulesController {
  constructor(
    private readonly putSchedule: PutScheduleUseCase,
    private readonly getSchedule: GetScheduleUseCase,
    private readonly listSchedules: ListSchedulesUseCase,
    private readonly deleteSchedule: DeleteScheduleUseCase,
  ) {}

  @Put(':name')
  @ApiOperation({
    summary: 'Make or change a schedule',
    description:
      'Sent again as it is, it changes nothing, so that a deployment may do so. One that is to fire at other times than ' +
      'before, or was paused, starts afresh: with the first of its times that is still to come.',
  })
  @ApiParam(named)
  @ApiBody({ type: PutScheduleDto, examples })
  @ApiResponse({ status: 200, type: ScheduleView, description: 'It was there before.' })
  @ApiResponse({
    status: 201,
    type: ScheduleView,
    description: 'It is new.',
    headers: { Location: { description: 'Where to ask for it.', schema: { type: 'string' } } },
  })
  @ApiProblems(400, 413, 415, 422, 503)
  @ApiResponse({ status: 409, description: 'There are 10,000 schedules already.', content: problemContent })
  async put(
    @Tenant() tenant: string,
    @ScheduleName() name: string,
    @Body(asSchedule) body: PutScheduleDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<ScheduleView> {
    const { schedule, created } = await this.putSchedule.execute({ ...body, tenant, name });

    if (created) response.status(201).location(`/schedules/${name}`);
    return scheduleView(schedule);
  }

  @Get()
  @ApiOperation({ summary: 'List schedules, by name' })
  @ApiResponse({ status: 200, type: ScheduleListView })
  @ApiProblems(400, 503)
  async list(
    @Tenant() tenant: string,
    @Query(asListQuery) query: ListSchedulesDto,
  ): Promise<ScheduleListView> {
    const { items, next } = await this.listSchedules.execute({ tenant, ...schedulePageOf(query) });

    return {
      items: items.map(scheduleView),
      nextCursor: next === undefined ? null : cursorAfterSchedule(next),
    };
  }

  @Get(':name')
  @ApiOperation({ summary: 'A schedule, with its next and its latest times' })
  @ApiParam(named)
  @ApiResponse({ status: 200, type: ScheduleDetailView })
  @ApiProblems(400, 404, 503)
  async get(@Tenant() tenant: string, @ScheduleName() name: string): Promise<ScheduleDetailView> {
    return scheduleDetailView(await this.getSchedule.execute({ tenant, name }));
  }

  @Delete(':name')
  @HttpCode(204)
  @ApiOperation({ summary: 'End a schedule', description: 'The jobs that it has made stay, and run.' })
  @ApiParam(named)
  @ApiResponse({ status: 204, description: 'It is gone.' })
  @ApiProblems(400, 404, 503)
  async delete(@Tenant() tenant: string, @ScheduleName() name: string): Promise<void> {
    await this.deleteSchedule.execute({ tenant, name });
  }
}
