import { Injectable } from '@nestjs/common';
import { JobNotFound } from '../job.errors.js';
import { JobRepository, type JobPulse } from '../job-repository.js';
import { isOver, type Job, type JobLogLine } from '../job.js';
import { JobWatcher } from '../watching/job-watcher.js';

/** Log lines that are read at a time. */
const PAGE = 500;

export interface FollowJobInput {
  tenant: string;
  id: string;
  /** The last log line seen. */
  afterSeq?: number;
  signal: AbortSignal;
}

/** state: how it stands. log: a line. end: it is over, and nothing more comes. `seq`: the last line told of so far. */
export type JobNews = { seq: number } & (
  { kind: 'state'; pulse: JobPulse } | { kind: 'log'; line: JobLogLine } | { kind: 'end'; job: Job }
);

/** Tells of a job as it goes: how it stands now, each change, each log line after the last that was seen, and its end. */
@Injectable()
export class FollowJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly watcher: JobWatcher,
  ) {}

  /** @throws JobNotFound at the first step */
  async *execute({ tenant, id, afterSeq = 0, signal }: FollowJobInput): AsyncGenerator<JobNews, void, void> {
    if (!(await this.jobs.find(tenant, id))) throw new JobNotFound(id);

    let seq = afterSeq;
    for await (const pulse of this.watcher.follow(id, signal)) {
      while (pulse.lastSeq > seq) {
        const lines = await this.jobs.logs(tenant, id, { afterSeq: seq, limit: PAGE });
        for (const line of lines) yield { kind: 'log', line, seq: (seq = line.seq) };
        if (lines.length === 0) break;
      }
      yield { kind: 'state', pulse, seq };
      if (!isOver(pulse.status)) continue;

      const job = await this.jobs.find(tenant, id);
      if (job && isOver(job.status)) return yield { kind: 'end', job, seq };
    }
  }
}
