import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { SubmitJobUseCase } from 'job-queue-platform/extension';

/** Submits on its own account, without a detour over HTTP. */
@Controller('ledger')
export class LedgerController {
  constructor(private readonly submitJob: SubmitJobUseCase) {}

  @Post(':key')
  @HttpCode(202)
  async add(@Param('key') key: string): Promise<{ jobId: string }> {
    const job = await this.submitJob.execute({ tenant: 'default', type: 'record_effect', data: { key } });
    return { jobId: job.id };
  }
}
