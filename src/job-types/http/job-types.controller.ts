import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../../http/api-problems.js';
import { JobTypeRegistry } from '../job-type-registry.js';
import { JobTypeListView, JobTypeView, jobTypeView } from './job-type.dto.js';

/** The catalogue: what can be submitted, and how its data looks. */
@ApiTags('Job types')
@Controller('job-types')
export class JobTypesController {
  constructor(private readonly types: JobTypeRegistry) {}

  @Get()
  @ApiOperation({ summary: 'List the job types' })
  @ApiResponse({ status: 200, type: JobTypeListView })
  list(): JobTypeListView {
    return { items: this.types.all().map(jobTypeView) };
  }

  @Get(':type')
  @ApiOperation({ summary: 'A job type, with the JSON Schema of its data' })
  @ApiParam({ name: 'type', example: 'send_email' })
  @ApiResponse({ status: 200, type: JobTypeView })
  @ApiProblems(404)
  get(@Param('type') type: string): JobTypeView {
    return jobTypeView(this.types.get(type));
  }
}
