import { Injectable } from '@nestjs/common';
import { Lanes } from '../jobs/delivery/lanes.js';
import { JobRepository, type JobHistory, type Standing } from '../jobs/job-repository.js';
import { StatisticsRepository } from '../jobs/statistics/statistics-repository.js';
import { GetJobStatusUseCase } from '../jobs/use-cases/get-job-status.use-case.js';
import { ListWorkersUseCase } from '../workers/list-workers.use-case.js';
import { estimateStart } from './estimate.js';
import type { Explanation, Gate } from './explanation.js';
import { gatesOf, MOST_COUNTED, workersFor, type Waiting } from './gates.js';
import { tellEnd, tellFailure } from './telling.js';

/** The pace of a queue is measured over so many minutes, and what has passed of the current one. */
const PACE_MINUTES = 5;

/** Tells why a job is not running, what would change that, and when it should start; or what became of it. */
@Injectable()
export class ExplainJobUseCase {
  constructor(
    private readonly jobs: JobRepository,
    private readonly getJobStatus: GetJobStatusUseCase,
    private readonly listWorkers: ListWorkersUseCase,
    private readonly statistics: StatisticsRepository,
    private readonly lanes: Lanes,
  ) {}

  /** @throws JobNotFound */
  async execute({ tenant, id }: { tenant: string; id: string }): Promise<Explanation> {
    for (;;) {
      const history = await this.getJobStatus.execute({ tenant, id });
      const summary = tellEnd(history);
      const { status } = history.job;
      if (summary !== undefined) return { id, status, summary, gates: [], position: null, startsAt: null };

      const standing = await this.jobs.standing(tenant, id, MOST_COUNTED);
      if (standing) return this.explainWaiting(tenant, history, standing);
      // It was taken between the two looks: what there is to tell is another thing now.
    }
  }

  private async explainWaiting(
    tenant: string,
    history: JobHistory,
    standing: Standing,
  ): Promise<Explanation> {
    const { job } = history;
    const [pauses, workers, pace] = await Promise.all([
      this.jobs.pauses(),
      this.listWorkers.execute({ tenant }),
      this.statistics.pace(job.queue, PACE_MINUTES),
    ]);
    const pause = pauses.find(({ queue }) => queue === job.queue);
    const waiting: Waiting = { job, standing, pause, workers, slots: this.slotsFor({ job, workers }) };

    const gates = gatesOf(waiting);
    const { at, ahead, active } = standing;
    return {
      id: job.id,
      status: job.status,
      summary: summaryOf(tellFailure(history), gates),
      gates,
      position: { ahead, atLeast: ahead >= MOST_COUNTED },
      startsAt: pause
        ? null
        : estimateStart({ at, runAt: job.runAt, ahead, active, slots: waiting.slots, pace }),
    };
  }

  /** A worker shares its slots out over the queue's shards, and gives each at least one. */
  private slotsFor({ job, workers }: Pick<Waiting, 'job' | 'workers'>): number {
    return workersFor(job, workers).reduce((slots, { queues }) => {
      const concurrency = queues.find(({ name }) => name === job.queue)?.concurrency ?? 0;
      return slots + Math.max(1, concurrency / this.lanes.shards);
    }, 0);
  }
}

function summaryOf(failure: string | undefined, gates: Gate[]): string {
  // The telling of a failure ends with when the next attempt is due.
  const reasons = gates.filter(({ gate }) => !(failure && gate === 'delayed')).map(({ reason }) => reason);
  const told = failure ? [failure, ...reasons] : reasons;
  return told.length > 0 ? told.join(' ') : 'Nothing is in its way: it is about to start.';
}
