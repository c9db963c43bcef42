import type { WorkerRecord } from '../jobs/delivery/heartbeat.js';
import { LEASE } from '../jobs/delivery/reaper.js';
import type { InMemoryJobRepository } from '../jobs/in-memory-job-repository.js';
import { WorkerRepository, type JobInHand, type WorkerState } from './worker-repository.js';

/** The twin for tests, over a twin of the record, by a clock that stands still until a test moves it. */
export class InMemoryWorkerRepository extends WorkerRepository {
  private readonly workers = new Map<string, { worker: WorkerRecord; startedAt: number; beatAt: number }>();
  private now = Date.UTC(2026, 0, 1);

  constructor(private readonly jobs: InMemoryJobRepository) {
    super();
  }

  advance(ms: number): void {
    this.now += ms;
  }

  beat(worker: WorkerRecord): void {
    const known = this.workers.get(worker.id);
    this.workers.set(worker.id, { worker, startedAt: known?.startedAt ?? this.now, beatAt: this.now });
  }

  async list(tenant: string, most: { workers: number; jobs: number }): Promise<WorkerState[]> {
    await this.jobs.pauses(); // answers, or tells that it is down
    const known = [...this.workers.values()].sort((a, b) => a.startedAt - b.startedAt).slice(0, most.workers);
    return Promise.all(
      known.map(async ({ worker, startedAt, beatAt }) => {
        const jobs = await this.inHand(worker.id, tenant);
        return {
          ...{ id: worker.id, host: worker.host, pid: worker.pid, types: [...worker.types] },
          queues: worker.queues.map((queue) => ({ ...queue })),
          concurrency: worker.queues.reduce((sum, { concurrency }) => sum + concurrency, 0),
          ...{ startedAt: new Date(startedAt), heartbeatAt: new Date(beatAt), lag: 0 },
          stale: this.now - beatAt > LEASE,
          ...{ active: jobs.length, jobs: jobs.slice(0, most.jobs) },
        };
      }),
    );
  }

  private async inHand(workerId: string, tenant: string): Promise<JobInHand[]> {
    const held = await this.jobs.held(workerId);
    const found = await Promise.all(held.map(({ jobId }) => this.jobs.find(tenant, jobId)));
    return found
      .flatMap((job) => (job?.startedAt ? [{ id: job.id, type: job.type, since: job.startedAt }] : []))
      .sort((a, b) => a.since.getTime() - b.since.getTime() || (a.id < b.id ? -1 : 1));
  }
}
