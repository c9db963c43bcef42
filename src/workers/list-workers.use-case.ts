import { Injectable } from '@nestjs/common';
import { WorkerRepository, type WorkerState } from './worker-repository.js';

export const MOST_WORKERS = 1_000;
export const MOST_JOBS = 20;

/** Tells which worker processes live, and what they have in hand. */
@Injectable()
export class ListWorkersUseCase {
  constructor(private readonly workers: WorkerRepository) {}

  /** @param input.tenant whose jobs are told; the workers are everyone's */
  execute({ tenant }: { tenant: string }): Promise<WorkerState[]> {
    return this.workers.list(tenant, { workers: MOST_WORKERS, jobs: MOST_JOBS });
  }
}
