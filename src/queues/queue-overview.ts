import { Injectable } from '@nestjs/common';
import { Lanes } from '../jobs/delivery/lanes.js';
import { QueueNotFound } from '../jobs/job.errors.js';
import { JobRepository, type QueuePause } from '../jobs/job-repository.js';
import { GetStatsUseCase, type Stats } from '../stats/get-stats.use-case.js';
import { ListWorkersUseCase } from '../workers/list-workers.use-case.js';
import type { WorkerState } from '../workers/worker-repository.js';
import type { QueueState } from './queue-state.js';

/** Rates are told over so many minutes, and what has passed of the current one. */
const RATE_MINUTES = 5;

const NONE = { waiting: 0, delayed: 0, active: 0, unpushed: 0, oldestWaiting: null };

/** Every queue that a job type uses, that a job is in, or that is paused. Counts are a second old at most. */
@Injectable()
export class QueueOverview {
  constructor(
    private readonly jobs: JobRepository,
    private readonly lanes: Lanes,
    private readonly getStats: GetStatsUseCase,
    private readonly listWorkers: ListWorkersUseCase,
  ) {}

  /** In alphabetical order. */
  async all(tenant: string): Promise<QueueState[]> {
    const [pauses, stats, workers] = await Promise.all([
      this.jobs.pauses(),
      this.getStats.execute({ tenant, minutes: RATE_MINUTES }),
      this.listWorkers.execute({ tenant }),
    ]);
    const names = [
      this.lanes.queues,
      pauses.map(({ queue }) => queue),
      stats.queues.map(({ queue }) => queue),
    ];
    return [...new Set(names.flat())]
      .sort()
      .map((name) => ({ ...stateOf(name, pauses, stats, workers), shards: this.lanes.shards }));
  }

  /** @throws QueueNotFound */
  async one(tenant: string, name: string): Promise<QueueState> {
    const state = (await this.all(tenant)).find((each) => each.name === name);
    if (!state) throw new QueueNotFound(name);
    return state;
  }
}

function stateOf(
  name: string,
  pauses: QueuePause[],
  { queues, types, seconds }: Stats,
  workers: WorkerState[],
): Omit<QueueState, 'shards'> {
  const { queue: _name, ...counts } = queues.find(({ queue }) => queue === name) ?? { queue: name, ...NONE };
  const here = types.filter(({ queue }) => queue === name);
  const perSecond = (jobs: number[]) => jobs.reduce((sum, n) => sum + n, 0) / seconds;
  return {
    name,
    pausedSince: pauses.find(({ queue }) => queue === name)?.since ?? null,
    ...counts,
    rates: {
      in: perSecond(here.map(({ submitted }) => submitted)),
      out: perSecond(here.map(({ completed, failed }) => completed + failed)),
      seconds,
    },
    workers: workers.flatMap(({ id, host, pid, queues: served, stale }) => {
      const concurrency = served.find((queue) => queue.name === name)?.concurrency;
      return concurrency === undefined || stale ? [] : [{ id, host, pid, concurrency }];
    }),
  };
}
