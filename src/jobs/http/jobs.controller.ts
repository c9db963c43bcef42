import { Body, Controller, Get, HttpCode, Post, Query, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ApiProblems } from '../../http/api-problems.js';
import { JsonEnvelopePipe } from '../../http/json-envelope.pipe.js';
import { QueryPipe } from '../../http/query.pipe.js';
import { Tenant } from '../../http/tenant.js';
import { CancelJobUseCase } from '../use-cases/cancel-job.use-case.js';
import { FollowJobUseCase } from '../use-cases/follow-job.use-case.js';
import { GetJobLogsUseCase } from '../use-cases/get-job-logs.use-case.js';
import { GetJobStatusUseCase } from '../use-cases/get-job-status.use-case.js';
import { ListJobsUseCase } from '../use-cases/list-jobs.use-case.js';
import { RetryJobUseCase } from '../use-cases/retry-job.use-case.js';
import { RunJobNowUseCase } from '../use-cases/run-job-now.use-case.js';
import { SubmitJobUseCase } from '../use-cases/submit-job.use-case.js';
import { WaitForJobUseCase } from '../use-cases/wait-for-job.use-case.js';
import { EventStream } from './event-stream.js';
import { LastEventId, newsData, WaitDto } from './follow-job.dto.js';
import { ApiIdempotent, IdempotencyKey, REPLAYED_HEADER, replayedHeader } from './idempotency-key.js';
import { JobId } from './job-id.js';
import { cursorAfterLine, JobLogsDto, logPageOf } from './job-logs.dto.js';
import {
  attemptView,
  JobBulkView,
  JobDetailView,
  JobListView,
  logLineView,
  JobLogsView,
  JobView,
  jobView,
} from './job-view.dto.js';
import { cursorAfter, filterOf, ListJobsDto, pageOf } from './list-jobs.dto.js';
import { RetryJobDto } from './retry-job.dto.js';
import { SubmitJobDto, SubmitJobsDto, submissionOf } from './submit-job.dto.js';

const asJob = new JsonEnvelopePipe(SubmitJobDto);
const asJobs = new JsonEnvelopePipe(SubmitJobsDto);
const asRetry = new JsonEnvelopePipe(RetryJobDto, { optional: true });
const asListQuery = new QueryPipe(ListJobsDto, ['type', 'status', 'tag']);
const asWaitQuery = new QueryPipe(WaitDto);
const asLogsQuery = new QueryPipe(JobLogsDto);

/** Jobs over HTTP: submit, find, read, and decide on. */
@ApiTags('Jobs')
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly submitJob: SubmitJobUseCase,
    private readonly listJobs: ListJobsUseCase,
    private readonly getJobStatus: GetJobStatusUseCase,
    private readonly getJobLogs: GetJobLogsUseCase,
    private readonly retryJob: RetryJobUseCase,
    private readonly cancelJob: CancelJobUseCase,
    private readonly runJobNow: RunJobNowUseCase,
    private readonly waitForJob: WaitForJobUseCase,
    private readonly followJob: FollowJobUseCase,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Submit a job', description: 'Answers once the job is on record.' })
  @ApiResponse({
    status: 202,
    type: JobView,
    headers: {
      Location: { description: 'Where to ask for its status.', schema: { type: 'string' } },
      ...replayedHeader,
    },
  })
  @ApiResponse({
    status: 200,
    type: JobView,
    description: 'The job that has the `dedupeKey` already, as was asked for by `onDuplicate`.',
  })
  @ApiProblems(400, 413, 415, 429, 503)
  @ApiIdempotent()
  async submit(
    @Tenant() tenant: string,
    @IdempotencyKey() idempotencyKey: string | undefined,
    @Body(asJob) body: SubmitJobDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<JobView> {
    const job = await this.submitJob.execute({ tenant, idempotencyKey, ...submissionOf(body) });

    response.location(`/jobs/${job.id}`);
    if (job.duplicate) response.status(200);
    if (job.replayed) response.set(REPLAYED_HEADER, 'true');
    return jobView(job);
  }

  @Post('bulk')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Submit up to 1,000 jobs',
    description: 'All of them, or none where one is not valid.',
  })
  @ApiResponse({ status: 202, type: JobBulkView, headers: replayedHeader })
  @ApiProblems(400, 413, 415, 429, 503)
  @ApiIdempotent()
  async submitMany(
    @Tenant() tenant: string,
    @IdempotencyKey() idempotencyKey: string | undefined,
    @Body(asJobs) { jobs }: SubmitJobsDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<JobBulkView> {
    const accepted = await this.submitJob.executeMany(tenant, jobs.map(submissionOf), idempotencyKey);

    if (accepted.some(({ replayed }) => replayed)) response.set(REPLAYED_HEADER, 'true');
    return { items: accepted.map(jobView) };
  }

  @Get()
  @ApiOperation({ summary: 'List jobs, newest first' })
  @ApiResponse({ status: 200, type: JobListView })
  @ApiProblems(400, 503)
  async list(@Tenant() tenant: string, @Query(asListQuery) query: ListJobsDto): Promise<JobListView> {
    const { items, next } = await this.listJobs.execute({
      tenant,
      filter: filterOf(query),
      ...pageOf(query),
    });

    return { items: items.map(jobView), nextCursor: next === undefined ? null : cursorAfter(next) };
  }

  @Get(':id')
  @ApiOperation({
    summary: 'Status, result and attempts of a job',
    description: 'With `wait`, once it is over.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: JobDetailView })
  @ApiProblems(400, 404, 503)
  async status(
    @Tenant() tenant: string,
    @JobId() id: string,
    @Query(asWaitQuery) { wait }: WaitDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<JobDetailView> {
    const { job, attempts } =
      wait === undefined
        ? await this.getJobStatus.execute({ tenant, id })
        : await this.waitForJob.execute({
            tenant,
            id,
            atMost: Number(wait) * 1_000,
            signal: closeOf(response),
          });

    return { ...jobView(job), attempts: attempts.map(attemptView) };
  }

  @Get(':id/events')
  @ApiOperation({
    summary: 'Follow a job as it goes',
    description:
      'Server-sent events: `state` (status, run, attemptsMade, progress) at first and at each change, `log` for each line, ' +
      '`end` (status, result, error) when it is over, after which nothing comes. A client that lost the stream goes on ' +
      'after the line that its `Last-Event-ID` names.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiHeader({ name: 'Last-Event-ID', required: false, schema: { type: 'string', pattern: '^\\d{1,15}$' } })
  @ApiResponse({ status: 200, content: { 'text/event-stream': { schema: { type: 'string' } } } })
  @ApiProblems(400, 404, 503)
  async events(
    @Tenant() tenant: string,
    @JobId() id: string,
    @LastEventId() afterSeq: number | undefined,
    @Res() response: Response,
  ): Promise<void> {
    const stream = new EventStream(response);
    for await (const news of this.followJob.execute({ tenant, id, afterSeq, signal: stream.signal })) {
      await stream.send(news.kind, news.seq, newsData(news));
    }
    stream.end();
  }

  @Get(':id/logs')
  @ApiOperation({ summary: 'What a job has logged' })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: JobLogsView })
  @ApiProblems(400, 404, 503)
  async logs(
    @Tenant() tenant: string,
    @JobId() id: string,
    @Query(asLogsQuery) query: JobLogsDto,
  ): Promise<JobLogsView> {
    const { items, next } = await this.getJobLogs.execute({ tenant, id, ...logPageOf(query) });

    return { items: items.map(logLineView), nextCursor: next === undefined ? null : cursorAfterLine(next) };
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Run a failed or cancelled job again',
    description:
      'With a fresh budget of attempts; the old attempts stay on record. It may be given other `data`: ' +
      'then the job has this data from now on.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: RetryJobDto, required: false, examples: { 'as it was': { value: {} } } })
  @ApiResponse({ status: 202, type: JobView })
  @ApiProblems(400, 404, 409, 413, 415, 503)
  async retry(
    @Tenant() tenant: string,
    @JobId() id: string,
    @Body(asRetry) { data }: RetryJobDto,
  ): Promise<JobView> {
    return jobView(await this.retryJob.execute({ tenant, id, data }));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({
    summary: 'End a job that is not over',
    description:
      'It is `cancelled` at once. If it runs, its worker is told within a second (the attempt’s signal is aborted), and ' +
      'nothing that it still does reaches the record.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: JobView })
  @ApiProblems(400, 404, 409, 503)
  async cancel(@Tenant() tenant: string, @JobId() id: string): Promise<JobView> {
    return jobView(await this.cancelJob.execute({ tenant, id }));
  }

  @Post(':id/run-now')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Start a delayed job now',
    description: 'One that was submitted for later, or one that waits for its next attempt.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 202, type: JobView })
  @ApiProblems(400, 404, 409, 503)
  async runNow(@Tenant() tenant: string, @JobId() id: string): Promise<JobView> {
    return jobView(await this.runJobNow.execute({ tenant, id }));
  }
}

/** Aborted when the client has gone. */
function closeOf(response: Response): AbortSignal {
  const closed = new AbortController();
  response.on('close', () => closed.abort());
  return closed.signal;
}
